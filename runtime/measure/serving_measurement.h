#pragma once
#include <iosfwd>
#include <string>
#include <vector>

#include "planner/inference/serve.h"
#include "planner/inference/step.h"
#include "runtime/measure/measurement.h"
#include "runtime/serve/serve_rank.h"

namespace meshplan::runtime {

/// A rank's bytes: weights and cache as they were allocated, and the most of everything.
struct ServedMemory {
  profiles::Bytes weights, cache, peak;
};

/// A run of serving, as it is held against its prediction.
struct ServingMeasurement {
  Mode mode = Mode::Parallel;  ///< or Replay
  int ranks = 1;
  int warm_up = 1;                        ///< rounds before those that count
  std::vector<profiles::Seconds> rounds;  ///< those that count
  /// By step of the schedule, cut as the prediction is: of the round in which it took the median.
  std::vector<planner::StepTime> steps;
  planner::Service service;          ///< of one replica, when every step takes as in `steps`
  std::vector<ServedMemory> memory;  ///< by rank
};

/// A step lasts from the end of the one before to its own end, on the last stage of the first
/// replica. Its parts are those of one micro-batch on its way through all stages, on the first
/// tensor-parallel rank of each: the mean over the step's micro-batches.
///
///   matrices, attention, communication, host   spans of the ranks; a collective lasts from its
///   call
///                                              to its return, so waiting for a peer is in it
///   pipeline                                   the rest of the step: stages that wait; without
///                                              stages the rest is the host's
ServingMeasurement serving_measurement(const Serving& serving, const std::vector<ServedRank>& ranks,
                                       int warm_up);

/// The same of ranks that took turns: what computes and what the host does was measured
/// undisturbed; communication is that of `prices`, in equal parts on the stages, and the round of
/// the stages is put together as the prediction does (pipeline_round). `idle_at_first`: the first
/// step finds all stages idle.
ServingMeasurement replayed_serving(const Serving& serving, const std::vector<ServedRank>& ranks,
                                    int warm_up, const std::vector<planner::StepTime>& prices,
                                    bool idle_at_first);

/// The answers of all replicas, one after the other.
std::vector<std::vector<GeneratedToken>> answers_of(const Serving& serving,
                                                    const std::vector<ServedRank>& ranks);

/// All rounds of the first replica as Chrome trace events, a thread a rank.
void write_serving_trace(std::ostream& out, const Serving& serving,
                         const std::vector<ServedRank>& ranks);

}  // namespace meshplan::runtime
