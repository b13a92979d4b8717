#pragma once
#include <cstdint>
#include <vector>

#include "kernels/tensor_view.h"
#include "planner/inference/serving_schedule.h"
#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "profiles/data_type.h"
#include "runtime/communicator/rank_failure.h"

/// Executes a ServingSchedule with real arithmetic: the second interpreter beside the pricing of
/// planner/inference. One rank: serve_rank.h; all of them: serve_on_threads.h.
namespace meshplan::runtime {

/// Everything that fixes a run of serving; ranks add who they are.
struct Serving {
  planner::Transformer model;
  profiles::DataType data_type = profiles::DataType::Fp32;
  planner::Layout layout;
  planner::ServingSchedule schedule;  ///< of each replica
  int first_replica = 0;              ///< the number of the first one, which its prompts depend on
  int rounds = 1;                     ///< how often the schedule is run, from an empty cache each
  std::uint64_t seed = 1;             ///< of parameters and prompts
};

/// How weights, activations, keys and values are stored.
kernels::ElementType element_type(const Serving& serving);

/// Throws InputError for what the executor does not serve: experts, latent attention, interleaved
/// stages, context or sequence parallelism, formats other than fp32 and bf16, an empty schedule,
/// contexts beyond the position table.
void refuse_unsupported(const Serving& serving);

/// The prompt of a request of replica `replica` (0 = the first of this run). Synthetic text, a pure
/// function of the seed and of the request's number among those of all replicas.
std::vector<std::int32_t> prompt_of(const Serving& serving, int replica, int request);

/// Says what a place is, for the message of a failure: "step 12, instruction 1 (of 2 micro-batches,
/// 3 tokens of 3 requests; step 2 of round 1)".
DescribePlace step_in_words(const Serving& serving);

}  // namespace meshplan::runtime
