#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"

namespace meshplan::planner {

/// Why a layout cannot be run at all, whatever the memory. Frameworks refuse more: those rules are
/// planner/export's.
enum class Rule : std::uint8_t {
  Devices,                ///< tp * pp * dp * cp exceeds the cluster
  HeadsByTp,              ///< heads % tp, under ulysses heads % (tp * cp)
  KvHeadsByTp,            ///< kv heads and tp: one must divide the other
  HiddenByTp,             ///< hidden % tp, ffn % tp
  BatchByMicrobatch,      ///< global batch % (dp * mbs)
  SequenceByCp,           ///< seq % (2 cp) (causal balancing), seq % tp under sp
  LayersByStages,         ///< more chunks than layers (embedding and head may stand alone)
  StagesSum,              ///< stages= does not have pp * vpp entries that add up to the layers
  VppNeedsPipeline,       ///< vpp > 1 with pp 1, or with a schedule that has no chunks
  InterleavedBatches,     ///< micro-batches % pp
  ScheduleNeedsPipeline,  ///< zero-bubble and gpipe with pp 1 are 1f1b under another name
  ExpertsByEp,            ///< experts % ep, ep divides dp * cp * tp / etp, ep of a dense model
  ShardsByHsdp,           ///< dp * cp % hsdp
  WorkloadKind,           ///< options that make no sense for inference
};
constexpr int kRules = 14;

std::string_view name(Rule rule);  ///< "heads_by_tp": the key of search.rejected

struct Violation {
  Rule rule;
  std::string what;  ///< "32 heads are not divisible by tp 12"
};

/// The first rule that `layout` breaks on `devices` devices, without text: the search's fast path.
std::optional<Rule> broken_rule(const Layout& layout, const Transformer& model,
                                const Workload& workload, int devices);
/// Every rule that it breaks, with words.
std::vector<Violation> violations(const Layout& layout, const Transformer& model,
                                  const Workload& workload, int devices);

/// Micro-batches per pipeline and step: global batch / (dp * mbs).
int microbatches(const Layout& layout, const Workload& workload);

}  // namespace meshplan::planner
