#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "planner/evaluate/runs.h"
#include "planner/evaluate/statistics.h"
#include "planner/inference/predict_inference.h"

namespace meshplan::planner {

/// One serving run, predicted beside measured. Errors are predicted / measured - 1.
struct EvaluatedServing {
  const RecordedRun* run = nullptr;
  std::optional<std::string> unpredictable;  ///< the reason
  std::optional<InferencePrediction> prediction;
  std::optional<double> ttft_error, tpot_error, throughput_error;
};

/// Errors of one quantity, and how well layouts are ranked by it.
struct ServingErrors {
  ErrorSummary error;
  int ranked_groups = 0;
  double rank_correlation = 0;     ///< Spearman, mean over the groups
  double coverage = 0;             ///< measurements inside the 80% interval
  double interval_width_mean = 0;  ///< (high - low) / predicted
};

/// Layouts of one model, device, engine, lengths and number of users.
struct ServingGroup {
  std::string name;
  int runs = 0, predicted = 0;
  std::optional<double> ttft_rank, tpot_rank, throughput_rank;
  double tpot_mape = 0, throughput_mape = 0;
};

struct ServingReport {
  std::vector<EvaluatedServing> runs;
  std::vector<ServingGroup> groups;  ///< of two layouts or more
  ServingErrors ttft, tpot, throughput;
  std::map<std::string, int> unpredictable;
  int unknown_engines = 0;
};

/// Predicts every run of an inference workload; the pointers must stay valid. Each quantity counts
/// the runs that measured it; those that cannot be predicted are counted with their reason.
ServingReport evaluate_inference(const std::vector<const RecordedRun*>& runs);

}  // namespace meshplan::planner
