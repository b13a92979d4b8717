#include "runtime/execute/training.h"

#include <string>
#include <vector>

#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "profiles/input_error.h"

namespace meshplan::runtime {

kernels::ElementType element_type(const Training& training) {
  return training.workload.data_type == profiles::DataType::Bf16 ? kernels::ElementType::Bf16
                                                                 : kernels::ElementType::F32;
}

void refuse_unsupported(const Training& training) {
  const planner::Transformer& model = training.model;
  const planner::Layout& layout = training.layout;
  const planner::Workload& workload = training.workload;
  const std::string where = "run of " + planner::text(layout);
  const auto refuse_if = [&](bool refused, const std::string& what) {
    if (refused) throw profiles::InputError(where, "the executor does not run " + what);
  };
  const std::vector<planner::Violation> broken =
      planner::violations(layout, model, workload, layout.devices());
  if (!broken.empty()) throw profiles::InputError(where, broken.front().what);

  refuse_if(workload.kind != planner::Workload::Kind::Training, "inference");
  refuse_if(workload.data_type != profiles::DataType::Fp32 &&
                workload.data_type != profiles::DataType::Bf16,
            std::string(profiles::name(workload.data_type)) + " (fp32 and bf16 only)");
  refuse_if(workload.optimizer != planner::Optimizer::Adam, "optimizers other than adam");
  refuse_if(layout.cp > 1, "context parallelism");
  refuse_if(layout.ep > 1 || model.experts.has_value(), "experts");
  refuse_if(layout.zero > 1, "zero" + std::to_string(layout.zero));
  refuse_if(layout.hsdp > 1, "hsdp");
  refuse_if(layout.offload != planner::Offload::None, "offload");
  refuse_if(model.latent_attention.has_value(), "latent attention");
  refuse_if(model.position == planner::PositionKind::Alibi, "alibi positions");
  refuse_if(model.parallel_residual, "parallel residuals");
  refuse_if(model.embedding_norm, "a norm after the embedding");
  refuse_if(model.query_key_norm, "norms of queries and keys");
  refuse_if(model.post_norms, "norms after attention and MLP");
  refuse_if(!model.final_norm || !model.norm_parameters,
            "a model without final norm or norm parameters");
  refuse_if(model.embedding_width != 0 && model.embedding_width != model.hidden,
            "an embedding narrower than the model");
  refuse_if(model.sliding_window && *model.sliding_window < workload.seq_len, "sliding windows");
  refuse_if(
      model.position == planner::PositionKind::Learned && model.max_positions < workload.seq_len,
      "sequences longer than the position table");
  refuse_if(training.schedule.forward_only, "schedules without backward");

  const planner::Schedule& schedule = training.schedule;
  const int microbatches = planner::microbatches(layout, workload);
  if (schedule.stages != layout.pp || schedule.chunk_count() != layout.chunks() ||
      schedule.microbatches != microbatches ||
      schedule.programs.size() != static_cast<std::size_t>(layout.pp) ||
      schedule.chunks.size() != static_cast<std::size_t>(layout.chunks())) {
    throw profiles::InputError(where, "the schedule is not of this layout and workload");
  }
}

}  // namespace meshplan::runtime
