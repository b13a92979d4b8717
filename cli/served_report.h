#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "planner/inference/predict_inference.h"
#include "planner/problem.h"
#include "runtime/measure/serving_measurement.h"
#include "runtime/serve/compare_answers.h"

namespace meshplan::cli {

/// A run of serving beside its prediction.
struct ServedReport {
  planner::Layout layout;
  planner::Demand demand;
  std::string device;
  planner::ServingSchedule schedule;      ///< of one replica
  planner::Service predicted;             ///< of one replica
  std::vector<planner::StepTime> prices;  ///< of each step of the schedule
  /// Of each stage for this load: `step` of its fullest micro-batch, `cache` of its slots.
  std::vector<planner::ServingMemory> predicted_memory;
  runtime::ServingMeasurement measured;
  std::vector<std::vector<runtime::GeneratedToken>> answers;  ///< of all replicas
  std::optional<runtime::AnswerComparison> check;             ///< with one rank alone

  /// Of the time that the load takes: predicted / measured - 1.
  [[nodiscard]] double error() const { return predicted.duration / measured.service.duration - 1; }
};

/// predicted | measured | error: what users see, where decoding steps and prompts go, memory by
/// rank; whether the tokens are those of one rank.
std::string served_text(const planner::Problem& problem, const profiles::Engine& engine,
                        const ServedReport& report);
/// The same as the document that `run --json` prints: schema meshplan.served/1. `whole`: with every
/// step and every answer, as `run --out` writes it.
nlohmann::ordered_json served_json(const planner::Problem& problem, const profiles::Engine& engine,
                                   const ServedReport& report, bool whole);

/// "request 3, token 17: 512 where one rank has 98 (logits 1.25 and 1.31)"
std::string difference_text(const runtime::AnswerDifference& difference);

}  // namespace meshplan::cli
