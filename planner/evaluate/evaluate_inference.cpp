#include "planner/evaluate/evaluate_inference.h"

#include <fmt/format.h>

#include <functional>
#include <memory>

#include "planner/evaluate/serving_trial.h"
#include "planner/inference/step_time.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"

namespace meshplan::planner {
namespace {

/// Steps of runs that differ in the number of users only cost the same: priced once.
class Prices {
 public:
  StepPrices& of(const RecordedRun& run) {
    const Problem& p = run.problem;
    const std::string key =
        fmt::format("{} {} {} {} {} {} {}", run.model_name, p.cluster.name, p.cluster.device.id,
                    p.cluster.intra_bandwidth.rate, text(*run.layout, false), run.engine.name,
                    fmt::format("{} {}", profiles::name(p.workload.data_type), p.workload.prompt));
    auto& held = prices_[key];
    if (!held) held = std::make_unique<StepPrices>(p, run.engine, *run.layout);
    return *held;
  }

 private:
  std::map<std::string, std::unique_ptr<StepPrices>> prices_;
};

EvaluatedServing evaluate_one(const RecordedRun& run, Prices& prices) {
  EvaluatedServing out;
  out.run = &run;
  if (run.refusal) {
    out.unpredictable = *run.refusal;
    return out;
  }
  const Problem& problem = run.problem;
  const auto broken =
      violations(*run.layout, problem.model, problem.workload, problem.cluster.devices());
  if (!broken.empty()) {
    out.unpredictable = "illegal layout: " + std::string(name(broken[0].rule));
    return out;
  }
  const ServingTrial trial = serving_trial(run);
  out.prediction =
      predict_inference(prices.of(run), trial.problem, trial.engine, *run.layout, trial.demand);
  if (!out.prediction->fits) {
    out.unpredictable = "predicted not to fit: no room for the cache of one request";
    return out;
  }
  const Service& service = out.prediction->service;
  if (run.ttft_seconds) out.ttft_error = service.ttft.count() / *run.ttft_seconds - 1;
  if (run.tpot_seconds) out.tpot_error = service.tpot.count() / *run.tpot_seconds - 1;
  if (run.tokens_per_second) {
    out.throughput_error = out.prediction->tokens_per_second / *run.tokens_per_second - 1;
  }
  return out;
}

/// Model, device, engine, format, lengths and users: what layouts are compared under.
std::string group_of(const RecordedRun& run) {
  const Workload& w = run.problem.workload;
  const std::string demand = w.batch         ? fmt::format("batch {}", *w.batch)
                             : w.concurrency ? fmt::format("{} users", *w.concurrency)
                                             : "all at once";
  return fmt::format("{} {} on {}, {} {}, {}/{}, {}", run.model_name, profiles::name(w.data_type),
                     run.problem.cluster.device.id, run.engine.name, run.engine_version, w.prompt,
                     w.output, demand);
}

/// One measured quantity of a run, and its prediction.
struct Quantity {
  std::function<std::optional<double>(const RecordedRun&)> measured;
  std::function<double(const InferencePrediction&)> predicted;
  std::function<std::optional<double>(const EvaluatedServing&)> error;
  Range ServingIntervals::*interval = nullptr;
};

std::optional<double> ranked(const std::vector<const EvaluatedServing*>& members,
                             const Quantity& quantity) {
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const EvaluatedServing* member : members) {
    if (!quantity.error(*member)) continue;
    measured.push_back(*quantity.measured(*member->run));
    predicted.push_back(quantity.predicted(*member->prediction));
  }
  return rank_correlation(measured, predicted);
}

double mape(const std::vector<const EvaluatedServing*>& members, const Quantity& quantity) {
  std::vector<double> errors;
  for (const EvaluatedServing* member : members) {
    if (const auto error = quantity.error(*member)) errors.push_back(*error);
  }
  return summarise(errors, static_cast<int>(errors.size())).mape;
}

}  // namespace

ServingReport evaluate_inference(const std::vector<const RecordedRun*>& runs) {
  const Quantity ttft{[](const RecordedRun& r) { return r.ttft_seconds; },
                      [](const InferencePrediction& p) { return p.service.ttft.count(); },
                      [](const EvaluatedServing& e) { return e.ttft_error; },
                      &ServingIntervals::ttft_seconds};
  const Quantity tpot{[](const RecordedRun& r) { return r.tpot_seconds; },
                      [](const InferencePrediction& p) { return p.service.tpot.count(); },
                      [](const EvaluatedServing& e) { return e.tpot_error; },
                      &ServingIntervals::tpot_seconds};
  const Quantity throughput{[](const RecordedRun& r) { return r.tokens_per_second; },
                            [](const InferencePrediction& p) { return p.tokens_per_second; },
                            [](const EvaluatedServing& e) { return e.throughput_error; },
                            &ServingIntervals::tokens_per_second};

  ServingReport out;
  Prices prices;
  out.runs.reserve(runs.size());
  std::map<std::string, std::vector<const EvaluatedServing*>> groups;
  for (const RecordedRun* run : runs) {
    const EvaluatedServing& done = out.runs.emplace_back(evaluate_one(*run, prices));
    if (!run->refusal && !run->engine_known) ++out.unknown_engines;
    if (done.unpredictable) ++out.unpredictable[*done.unpredictable];
    if (!run->refusal) groups[group_of(*run)].push_back(&done);
  }
  const auto summarise_all = [&](const Quantity& quantity, ServingErrors& into) {
    std::vector<double> errors;
    int measured = 0;
    for (const EvaluatedServing& run : out.runs) {
      measured += quantity.measured(*run.run) ? 1 : 0;
      const auto error = quantity.error(run);
      if (!error) continue;
      errors.push_back(*error);
      const Range range = run.prediction->intervals.*quantity.interval;
      into.coverage += range.holds(*quantity.measured(*run.run)) ? 1 : 0;
      into.interval_width_mean += (range.high - range.low) / quantity.predicted(*run.prediction);
    }
    into.error = summarise(errors, measured);
    if (errors.empty()) return;
    into.coverage /= static_cast<double>(errors.size());
    into.interval_width_mean /= static_cast<double>(errors.size());
  };
  summarise_all(ttft, out.ttft);
  summarise_all(tpot, out.tpot);
  summarise_all(throughput, out.throughput);
  const auto count_rank = [](const std::optional<double>& rank, ServingErrors& into) {
    if (!rank) return;
    ++into.ranked_groups;
    into.rank_correlation += *rank;
  };
  for (const auto& [name, members] : groups) {
    if (members.size() < 2) continue;
    ServingGroup group{.name = name, .runs = static_cast<int>(members.size())};
    for (const EvaluatedServing* member : members) group.predicted += member->unpredictable ? 0 : 1;
    group.ttft_rank = ranked(members, ttft);
    group.tpot_rank = ranked(members, tpot);
    group.throughput_rank = ranked(members, throughput);
    group.tpot_mape = mape(members, tpot);
    group.throughput_mape = mape(members, throughput);
    count_rank(group.ttft_rank, out.ttft);
    count_rank(group.tpot_rank, out.tpot);
    count_rank(group.throughput_rank, out.throughput);
    out.groups.push_back(group);
  }
  for (ServingErrors* errors : {&out.ttft, &out.tpot, &out.throughput}) {
    if (errors->ranked_groups > 0) errors->rank_correlation /= errors->ranked_groups;
  }
  return out;
}

}  // namespace meshplan::planner
