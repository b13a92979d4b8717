#include "planner/search/unbeatable_step.h"

#include "planner/memory/model_states.h"
#include "planner/model/flops.h"
#include "planner/model/parameters.h"

namespace meshplan::planner {

using profiles::Seconds;

Seconds unbeatable_step(const Problem& problem) {
  const double devices = problem.cluster.devices();
  const double flops =
      model_flops_per_sequence(problem.model, problem.workload.seq_len, AttentionConvention::Causal)
          .count *
      problem.workload.global_batch;
  const double peak = problem.cluster.device.peak_at(problem.workload.data_type).rate;
  const StateBytes states = state_bytes(problem.framework, problem.workload.optimizer, 0, 1);
  const double bytes = static_cast<double>(parameter_count(problem.model)) * states.optimizer;
  const double bandwidth = problem.cluster.device.memory_bandwidth.rate;
  return Seconds{flops / (devices * peak) + bytes / (devices * bandwidth)};
}

}  // namespace meshplan::planner
