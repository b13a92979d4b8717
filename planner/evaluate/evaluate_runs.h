#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "planner/evaluate/runs.h"
#include "planner/evaluate/statistics.h"
#include "planner/plan.h"

namespace meshplan::planner {

/// One run, predicted beside measured.
struct EvaluatedRun {
  const RecordedRun* run = nullptr;
  std::optional<std::string> unpredictable;  ///< the reason
  std::optional<Plan> plan;                  ///< none for an illegal layout: predicted not to run
  std::optional<double> time_error;          ///< predicted / measured - 1
  std::optional<double> memory_error;
  profiles::Bytes predicted_memory{};  ///< of the kind that was measured
  bool competitive = false;            ///< within twice the best measured step of its group
  bool predicted_to_run = false;
  std::string suspect;  ///< the term most likely wrong
};

/// Layouts of one model, cluster and workload.
struct EvaluatedGroup {
  std::string name;
  int runs = 0, predicted = 0;
  std::optional<double> rank_correlation;
  std::optional<double> regret;  ///< measured time of the layout predicted best, over the best, - 1
  ErrorSummary time;
};

/// Pairs of layouts whose predicted steps lie so far apart, slower / faster - 1.
struct PairsApart {
  double low = 0;
  std::optional<double> high;  ///< none: no limit
  int pairs = 0, right = 0;    ///< right: the one predicted faster ran faster
  double expected = 0;         ///< sum of order_chance
};

struct RunsReport {
  std::vector<EvaluatedRun> runs;
  std::vector<EvaluatedGroup> groups;
  std::vector<PairsApart> pairs;
  ErrorSummary time, time_competitive, memory;
  struct {
    int groups = 0;
    double mean = 0, max = 0;
  } regret;
  double mean_rank_correlation = 0;
  int ranked_groups = 0;
  struct {
    int runs = 0;
    double accuracy = 0;
    int false_fit = 0;  ///< predicted to run, failed
    int false_oom = 0;  ///< predicted not to fit, ran
  } feasibility;
  double coverage = 0;             ///< measured steps inside the 80% interval
  double interval_width_mean = 0;  ///< (high - low) / predicted
  std::map<std::string, int> unpredictable;
  int unknown_frameworks = 0;
};

/// Predicts every run and compares. `progress` is called with the runs done; may be empty.
RunsReport evaluate_runs(const std::vector<RecordedRun>& runs,
                         const std::function<void(int)>& progress = {});

}  // namespace meshplan::planner
