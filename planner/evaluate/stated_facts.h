#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"
#include "profiles/data_type.h"

/// What a source of recorded runs states, in its own words, made plain: its software ran, so what
/// it says in another way than our layouts do, or leaves out, must not keep the run from being
/// predicted. Each function adds what it took for granted to `assumed`, one short phrase each.
namespace meshplan::planner {

/// The precision of matrix products that `words` name: "BF16", "amp_bf16", "FP8-CS", "MXFP8",
/// "float8 rowwise". "mixed" and "amp" alone are bf16. None: no precision is named.
std::optional<profiles::DataType> precision_named(std::string_view words);

/// Layout text in lower case, without blanks, with the words that frameworks have for
/// recomputation: full for full, block, layer, uniform and true; selective for selective, attention
/// and op; none for none, off and false. Anything else is left for the reader to refuse.
std::string plain_layout_text(std::string_view text);

/// `layout` of a run that ran, with what our schedules cannot express taken back: replicas over
/// shards that do not divide, sharded sequences that tp does not divide, chunks whose micro-batches
/// the stages do not divide, chunks without a pipeline. Other broken rules stay broken.
Layout runnable(Layout layout, const Transformer& model, const Workload& workload, int devices,
                std::vector<std::string>& assumed);

}  // namespace meshplan::planner
