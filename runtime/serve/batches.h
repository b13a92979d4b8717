#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "planner/inference/serving_schedule.h"

namespace meshplan::runtime {

/// The work of one step cut in at most `most` micro-batches, in order, of as many tokens each as
/// whole tokens allow: what pipeline stages hand on. A prompt may lie in two of them, one part
/// after the other. None is empty.
std::vector<std::vector<planner::RequestWork>> microbatches(
    const std::vector<planner::RequestWork>& work, int most);

/// Where each request keeps its keys and values: a slot of `capacity` tokens from its first step to
/// its last, the lowest that is free.
struct SlotPlan {
  std::vector<int> slot;      ///< by request
  int slots = 0;              ///< in use at a time, at most
  std::int64_t capacity = 0;  ///< tokens of the longest request, prompt and answer
};
SlotPlan slot_plan(const planner::ServingSchedule& schedule);

/// Requests of one micro-batch that one call of a kernel can serve: side by side in the cache, with
/// as many tokens before and in this step.
struct Batch {
  int row = 0;  ///< of the micro-batch's matrices: sequences * tokens rows from here on
  int sequences = 1;
  int slot = 0;   ///< of the first of them; the others follow
  int first = 0;  ///< position of each one's first token
  int tokens = 1;
  bool gives_token = false;  ///< its text ends here
  friend bool operator==(const Batch&, const Batch&) = default;
};

/// `gives_token`: of each of `work`.
std::vector<Batch> batches(std::span<const planner::RequestWork> work, const SlotPlan& slots,
                           const std::vector<bool>& gives_token);

}  // namespace meshplan::runtime
