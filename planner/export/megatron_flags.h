#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/export/shell_script.h"
#include "planner/layout/layout.h"
#include "planner/workload.h"
#include "profiles/data_type.h"

namespace meshplan::planner {

/// What the flags of a Megatron-LM run say of layout and workload.
struct MegatronRun {
  Layout layout;
  // None: not stated.
  std::optional<int> seq_len, global_batch;
  std::optional<profiles::DataType> data_type;
  std::optional<Optimizer> optimizer;
  std::optional<bool> flash_attention;
  std::vector<std::string> ignored;  ///< flags that say nothing of the plan, as given
};

/// Reads the flags of pretrain_gpt.py (Megatron-LM core_v0.15.3). There is no flag for the
/// data-parallel degree: it is `world` / (tp * pp * cp). `layers` are the model's. Flags of the
/// model itself are megatron_model.h's. Throws InputError at `where` for flags that contradict each
/// other or that matter and cannot be stated as a layout.
MegatronRun read_megatron_flags(const FlagList& flags, int layers, int world,
                                const std::string& where);

}  // namespace meshplan::planner
