#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "planner/export/shell_script.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"

namespace meshplan::planner {

/// Adds the flags that make Megatron-LM build `model` for the sequences and type of `workload`.
void add_megatron_model(const Transformer& model, const Workload& workload, ShellCommand& command);

/// Whether a flag describes the model and is read by megatron_model_config.
bool is_megatron_model_flag(std::string_view name);

/// The config.json of the model that the flags describe; none if they do not (--num-layers and
/// --hidden-size are not there). A family that has its shape is taken: llama, qwen3_moe, gpt2,
/// gpt_neox. Throws InputError at `where` for a shape that none of them has.
std::optional<std::string> megatron_model_config(const FlagList& flags, const std::string& where);

/// Throws InputError if a flag contradicts `model`.
void require_megatron_model(const FlagList& flags, const Transformer& model,
                            const std::string& where);

}  // namespace meshplan::planner
