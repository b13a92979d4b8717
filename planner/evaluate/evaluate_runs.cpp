#include "planner/evaluate/evaluate_runs.h"

#include <algorithm>
#include <cmath>

#include "planner/evaluate/pairs.h"
#include "planner/layout/legality.h"
#include "planner/memory/model_states.h"
#include "planner/predict.h"
#include "planner/term_spreads.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

/// What the run's software would have logged for `prediction`, in the unit that its source wrote
/// down: a GiB that was called a GB counts as 10^9 bytes.
Bytes logged_memory(const Prediction& prediction, MemoryKind kind,
                    const profiles::Framework& framework) {
  Bytes most{};
  for (const StageMemory& stage : prediction.memory) {
    const Bytes here = kind == MemoryKind::Allocated  ? stage.allocated()
                       : kind == MemoryKind::Reserved ? stage.reserved()
                                                      : stage.device();
    most = std::max(most, here);
    if (framework.reports_first_stage) break;
  }
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  return framework.reports_gibibytes ? scaled(most, 1e9 / kGibibyte) : most;
}

/// The largest term that is not compute when the prediction is too slow; when it is too fast,
/// something costs more than its price: compute first, unless communication dominates.
std::string suspect_of(const Terms& t, double error) {
  const std::pair<Seconds, const char*> terms[] = {
      {t.tp, "tp communication"}, {t.dp, "dp communication"}, {t.pp, "pp transfers"},
      {t.cp, "cp communication"}, {t.ep, "ep communication"}, {t.bubble, "bubble"},
      {t.overhead, "overhead"},   {t.optimizer, "optimizer"}};
  const auto largest = std::max_element(std::begin(terms), std::end(terms),
                                        [](auto& a, auto& b) { return a.first < b.first; });
  const double share = largest->first / t.sum();
  return share > std::min(0.3, std::abs(error)) ? largest->second : "compute";
}

/// `plan` as expected where either of two versions of the software may have run:
///
///   ln t = (1 - q) ln t_a + q ln t_b,   q = probability of the other version, t_b its step
///
/// Errors are factors (a version can be 30 times as slow), so expectation and variance are those of
/// the logarithm; the variance q (1 - q) ln^2(t_b / t_a) widens the interval. What the other
/// version costs besides is shown as waiting for transfers, of which nanotron's versions differ.
void expect_either_version(const RecordedRun& run, Plan& plan) {
  Problem other = run.problem;
  other.framework = run.other_version->framework;
  PriceBook book(other);
  Prediction& p = plan.prediction;
  const double q = run.other_version->probability;
  const double apart = std::log(predict(book, *run.layout).prediction.step / p.step);
  const double slower = std::exp(q * apart);
  const double own = std::log(p.step_high / p.step);
  const double width = std::hypot(own, kEightyPercent * std::sqrt(q * (1 - q)) * apart);
  p.terms.pp += (slower - 1) * p.step;
  p.step *= slower;
  p.step_low = p.step / std::exp(width);
  p.step_high = p.step * std::exp(width);
  p.tokens_per_second /= slower;
  p.mfu /= slower;
  p.hfu /= slower;
}

EvaluatedRun evaluate_one(const RecordedRun& run) {
  EvaluatedRun out;
  out.run = &run;
  if (run.refusal) {
    out.unpredictable = *run.refusal;
    return out;
  }
  const Problem& problem = run.problem;
  if (problem.workload.kind == Workload::Kind::Inference) {
    out.unpredictable = "a serving run, not a training step";
    return out;
  }
  const auto broken =
      violations(*run.layout, problem.model, problem.workload, problem.cluster.devices());
  if (!broken.empty()) {
    // A layout that cannot run is a correct verdict on a run that failed.
    if (!run.failed) out.unpredictable = "illegal layout: " + std::string(name(broken[0].rule));
    return out;
  }
  PriceBook book(problem);
  out.plan = predict(book, *run.layout);
  if (!out.plan->fits && defers_reduction(problem.framework, *run.layout)) {
    // Software that ran out of memory for whole gradients was told to reduce them each time.
    Problem each_time = problem;
    each_time.framework.deferred_reduction = profiles::DeferredReduction::Never;
    PriceBook reducing(each_time);
    Plan each = predict(reducing, *run.layout);
    if (each.fits) out.plan = std::move(each);
  }
  out.predicted_to_run = out.plan->fits && run.starts;
  const bool recipe = problem.framework.recompute_by_recipe || !run.framework_known;
  if (!out.plan->fits && run.recompute_unknown && recipe) {
    // What the source does not state must not decide: would it fit with recomputation?
    Layout recomputing = *run.layout;
    recomputing.recompute = Recompute::Full;
    out.predicted_to_run = predict(book, recomputing).fits;
  }
  if (run.other_version) expect_either_version(run, *out.plan);
  const Prediction& p = out.plan->prediction;
  if (run.step) {
    out.time_error = p.step / *run.step - 1;
    out.suspect = suspect_of(p.terms, *out.time_error);
  }
  if (run.peak_memory) {
    out.predicted_memory = logged_memory(p, run.memory_kind, problem.framework);
    out.memory_error = static_cast<double>(out.predicted_memory.count) /
                           static_cast<double>(run.peak_memory->count) -
                       1;
  }
  return out;
}

struct Group {
  std::vector<std::size_t> members;  ///< indexes of runs with a measured and a predicted step
  int runs = 0;
  Seconds best{1e300};
};

EvaluatedGroup summarise_group(const std::string& name, const Group& group,
                               const std::vector<EvaluatedRun>& runs) {
  EvaluatedGroup out;
  out.name = name;
  out.runs = group.runs;
  std::vector<double> predicted;
  std::vector<double> measured;
  std::vector<double> errors;
  for (const std::size_t i : group.members) {
    predicted.push_back(runs[i].plan->prediction.step.count());
    measured.push_back(runs[i].run->step->count());
    errors.push_back(*runs[i].time_error);
  }
  out.predicted = static_cast<int>(errors.size());
  out.time = summarise(errors, group.runs);
  if (predicted.size() >= 2) {
    out.rank_correlation = rank_correlation(predicted, measured);
    const auto chosen = std::min_element(predicted.begin(), predicted.end()) - predicted.begin();
    const double best = *std::min_element(measured.begin(), measured.end());
    out.regret = measured[static_cast<std::size_t>(chosen)] / best - 1;
  }
  return out;
}

}  // namespace

RunsReport evaluate_runs(const std::vector<RecordedRun>& runs,
                         const std::function<void(int)>& progress) {
  RunsReport out;
  std::map<std::string, Group> groups;
  for (const RecordedRun& run : runs) {
    out.runs.push_back(evaluate_one(run));
    if (progress) progress(static_cast<int>(out.runs.size()));
    const EvaluatedRun& done = out.runs.back();
    if (!run.framework_known) ++out.unknown_frameworks;
    if (done.unpredictable) ++out.unpredictable[*done.unpredictable];
    if (!run.refusal && run.step) {
      Group& group = groups[run.group()];
      ++group.runs;
      group.best = std::min(group.best, *run.step);
      if (done.time_error) group.members.push_back(out.runs.size() - 1);
    }
  }

  std::vector<double> all;
  std::vector<double> competitive;
  std::vector<double> memory;
  int timed = 0;
  int timed_competitive = 0;
  int sized = 0;
  int covered = 0;
  for (EvaluatedRun& run : out.runs) {
    if (run.run->step) {
      ++timed;
      const bool grouped = !run.run->refusal;
      run.competitive = grouped && *run.run->step <= 2 * groups[run.run->group()].best;
      if (run.competitive) ++timed_competitive;
      if (run.time_error) {
        all.push_back(*run.time_error);
        if (run.competitive) competitive.push_back(*run.time_error);
        const Prediction& p = run.plan->prediction;
        covered += *run.run->step >= p.step_low && *run.run->step <= p.step_high ? 1 : 0;
        out.interval_width_mean += (p.step_high - p.step_low) / p.step;
      }
    }
    if (run.run->peak_memory) {
      ++sized;
      if (run.memory_error) memory.push_back(*run.memory_error);
    }
    // A verdict on whether it runs: every run with an outcome that a layout could be read of.
    if (!run.run->refusal && (run.run->failed || run.run->step) && !run.unpredictable) {
      ++out.feasibility.runs;
      if (run.run->failed && run.predicted_to_run) ++out.feasibility.false_fit;
      if (!run.run->failed && !run.predicted_to_run) ++out.feasibility.false_oom;
    }
  }
  out.time = summarise(all, timed);
  out.time_competitive = summarise(competitive, timed_competitive);
  out.memory = summarise(memory, sized);
  if (!all.empty()) {
    out.coverage = covered / static_cast<double>(all.size());
    out.interval_width_mean /= static_cast<double>(all.size());
  }
  if (out.feasibility.runs > 0) {
    const int wrong = out.feasibility.false_fit + out.feasibility.false_oom;
    out.feasibility.accuracy = 1 - wrong / static_cast<double>(out.feasibility.runs);
  }
  for (const auto& [name, group] : groups) {
    out.groups.push_back(summarise_group(name, group, out.runs));
    const EvaluatedGroup& summary = out.groups.back();
    if (summary.regret) {
      ++out.regret.groups;
      out.regret.mean += *summary.regret;
      out.regret.max = std::max(out.regret.max, *summary.regret);
    }
    if (summary.rank_correlation) {
      ++out.ranked_groups;
      out.mean_rank_correlation += *summary.rank_correlation;
    }
  }
  out.pairs = pairs_by_gap(out.runs);
  if (out.regret.groups > 0) out.regret.mean /= out.regret.groups;
  if (out.ranked_groups > 0) out.mean_rank_correlation /= out.ranked_groups;
  return out;
}

}  // namespace meshplan::planner
