#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/memory/stage_memory.h"
#include "planner/problem.h"
#include "planner/simulate/simulate.h"
#include "runtime/measure/measurement.h"

namespace meshplan::cli {

/// The first loss of one rank alone, held against that of the run.
struct OneRankCheck {
  double loss = 0;
  double relative_difference = 0;  ///< |loss of the run / loss - 1|
};

/// A run beside its prediction.
struct RunReport {
  planner::Layout layout;
  planner::SimulatedStep predicted;
  std::vector<planner::StageMemory> predicted_memory;  ///< by stage
  runtime::Measurement measured;
  std::optional<OneRankCheck> check;
  int steps = 0;  ///< that ran, with those of the warm-up

  /// Of the step time: predicted / measured - 1.
  [[nodiscard]] double error() const { return predicted.step / measured.step - 1; }
  [[nodiscard]] const planner::StageMemory& memory_of_rank(int rank) const;
};

/// predicted | measured | error: by term, then memory by rank; the losses.
std::string run_text(const planner::Problem& problem, const RunReport& report);
/// The same as the document that `run --json` prints.
nlohmann::ordered_json run_json(const planner::Problem& problem, const RunReport& report);

}  // namespace meshplan::cli
