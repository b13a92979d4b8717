#include "runtime/serve/serving.h"

#include <algorithm>
#include <string>

#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "profiles/input_error.h"
#include "runtime/execute/tokens.h"
#include "runtime/serve/batches.h"

namespace meshplan::runtime {

kernels::ElementType element_type(const Serving& serving) {
  return serving.data_type == profiles::DataType::Bf16 ? kernels::ElementType::Bf16
                                                       : kernels::ElementType::F32;
}

void refuse_unsupported(const Serving& serving) {
  const planner::Transformer& model = serving.model;
  const planner::Layout& layout = serving.layout;
  const std::string where = "run of " + planner::text(layout, false);
  const auto refuse_if = [&](bool refused, const std::string& what) {
    if (refused) throw profiles::InputError(where, "the executor does not serve " + what);
  };
  planner::Workload workload;
  workload.kind = planner::Workload::Kind::Inference;
  workload.data_type = serving.data_type;
  const auto broken = planner::violations(layout, model, workload, layout.devices());
  if (!broken.empty()) throw profiles::InputError(where, broken.front().what);

  refuse_if(serving.data_type != profiles::DataType::Fp32 &&
                serving.data_type != profiles::DataType::Bf16,
            std::string(profiles::name(serving.data_type)) + " (fp32 and bf16 only)");
  refuse_if(layout.cp > 1 || layout.sp, "context or sequence parallelism");
  refuse_if(layout.chunks() != layout.pp, "several chunks a stage");
  refuse_if(layout.ep > 1 || model.experts.has_value(), "experts");
  refuse_if(model.latent_attention.has_value(), "latent attention");
  refuse_if(model.position == planner::PositionKind::Alibi, "alibi positions");
  refuse_if(model.parallel_residual, "parallel residuals");
  refuse_if(model.embedding_norm, "a norm after the embedding");
  refuse_if(model.query_key_norm, "norms of queries and keys");
  refuse_if(!model.final_norm || !model.norm_parameters,
            "a model without final norm or norm parameters");
  refuse_if(model.embedding_width != 0 && model.embedding_width != model.hidden,
            "an embedding narrower than the model");
  const std::int64_t longest = slot_plan(serving.schedule).capacity;
  refuse_if(model.sliding_window && *model.sliding_window < longest, "sliding windows");
  refuse_if(model.position == planner::PositionKind::Learned && model.max_positions < longest,
            "contexts of " + std::to_string(longest) + " tokens with a table of " +
                std::to_string(model.max_positions) + " positions");
  refuse_if(serving.schedule.steps.empty(), "a load of which one request does not fit the cache");
}

std::vector<std::int32_t> prompt_of(const Serving& serving, int replica, int request) {
  const auto requests = static_cast<std::int64_t>(serving.schedule.requests.size());
  const std::int64_t number = (serving.first_replica + replica) * requests + request;
  return synthetic_tokens(serving.seed, number, 1,
                          serving.schedule.requests[static_cast<std::size_t>(request)].prompt,
                          serving.model.vocab);
}

DescribePlace step_in_words(const Serving& serving) {
  return [schedule = serving.schedule, pp = serving.layout.pp](int /*rank*/, Place place) {
    std::string words = describe(place);
    const auto steps = static_cast<int>(schedule.steps.size());
    if (place.step < 0 || place.instruction < 0) return words;
    const auto parts = microbatches(schedule.steps[place.step % steps].work, pp);
    if (place.instruction >= static_cast<int>(parts.size())) return words;
    const auto& work = parts[place.instruction];
    int tokens = 0;
    for (const planner::RequestWork& w : work) tokens += w.tokens;
    return words + " (of " + std::to_string(parts.size()) + " micro-batches, " +
           std::to_string(tokens) + " tokens of " + std::to_string(work.size()) +
           " requests; step " + std::to_string(place.step % steps) + " of round " +
           std::to_string(place.step / steps) + ")";
  };
}

}  // namespace meshplan::runtime
