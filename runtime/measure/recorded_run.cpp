#include "runtime/measure/recorded_run.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "planner/plan_json.h"
#include "planner/predict.h"
#include "profiles/input_error.h"
#include "runtime/measure/measurement_json.h"

namespace meshplan::runtime {
namespace {

using planner::Action;
using planner::OpClass;
using planner::RefitFactors;
using planner::RefitRow;
using profiles::Seconds;

struct Prediction {
  planner::ScheduleCosts costs;
  planner::SimulatedStep step;
};

Prediction predicted(const RecordedRun& run, const RefitFactors& factors) {
  const planner::Problem problem = corrected(run.problem, factors);
  planner::PriceBook book(problem);
  planner::PreparedLayout prepared = prepare(book, run.layout);
  return {prepared.costs, planner::simulate_step(prepared.schedule, prepared.costs)};
}

/// The price of what InstructionTime measures: computation alone.
std::optional<Seconds> price(const InstructionTime& time, const planner::ScheduleCosts& costs) {
  const auto at = static_cast<std::size_t>(time.chunk);
  const auto alone = [](const planner::Work& work) { return work.compute + work.overhead; };
  switch (time.action) {
    case Action::Forward:
      return alone(costs.chunks.at(at).forward);
    case Action::Backward:
      return alone(costs.chunks.at(at).recompute) + alone(costs.chunks.at(at).input_grad) +
             alone(costs.chunks.at(at).weight_grad);
    case Action::InputGrad:
      return alone(costs.chunks.at(at).recompute) + alone(costs.chunks.at(at).input_grad);
    case Action::WeightGrad:
      return alone(costs.chunks.at(at).weight_grad);
    default:  // the optimizer is priced as a whole, measured in two parts
      return std::nullopt;
  }
}

struct Observed {
  Seconds measured{0};
  std::function<Seconds(const Prediction&)> predicted;
};

/// Parts of the step that are large enough to be timed.
std::vector<Observed> parts_of(const RecordedRun& run) {
  constexpr Seconds kTooShort{2e-5};
  std::vector<Observed> out;
  const auto add = [&](Seconds measured, std::function<Seconds(const Prediction&)> prediction) {
    if (measured > kTooShort) out.push_back({measured, std::move(prediction)});
  };
  for (const InstructionTime& time : run.measurement.instructions) {
    const bool computes =
        time.action != Action::OptimizerSync && time.action != Action::OptimizerStep;
    if (computes) {
      add(time.median, [time](const Prediction& p) { return *price(time, p.costs); });
    }
  }
  const planner::Terms& terms = run.measurement.terms;
  add(terms.optimizer, [](const Prediction& p) { return p.step.terms.optimizer; });
  if (run.measurement.mode == Mode::Parallel) {
    add(terms.tp, [](const Prediction& p) { return p.step.terms.tp; });
    add(terms.dp, [](const Prediction& p) { return p.step.terms.dp; });
  }
  return out;
}

}  // namespace

RecordedRun read_recorded_run(const profiles::JsonNode& document,
                              const profiles::DataFiles& files) {
  Measurement measurement = read_measurement(document);
  planner::PlanFile plan = planner::read_plan(document.at("plan"), files);
  if (plan.layouts.size() != 1) document.at("plan").at("plans").refuse("the one plan that ran");
  return {std::move(measurement), std::move(plan.problem), plan.layouts.front()};
}

planner::Problem corrected(planner::Problem problem, const RefitFactors& factors) {
  problem.profile = with_factors(std::move(problem.profile), factors);
  if (problem.cluster.device.architecture == "cpu") {
    profiles::Cluster& cluster = problem.cluster;
    for (profiles::BytesPerSecond* link :
         {&cluster.intra_bandwidth, &cluster.pcie_bandwidth, &cluster.device.pcie_bandwidth,
          &problem.profile.device.pcie_bandwidth}) {
      link->rate /= factors[OpClass::Collective];
    }
  }
  return problem;
}

Seconds predicted_step(const RecordedRun& run, const RefitFactors& factors) {
  return predicted(run, factors).step.step;
}

std::vector<RefitRow> refit_rows(const RecordedRun& run) {
  std::vector<Observed> observed = parts_of(run);
  const double share = 0.5 / static_cast<double>(std::max<std::size_t>(1, observed.size()));
  observed.push_back({run.measurement.step, [](const Prediction& p) { return p.step.step; }});

  const Prediction as_it_is = predicted(run, {});
  std::vector<RefitRow> rows;
  for (const Observed& o : observed) {
    rows.push_back({.measured = o.measured, .rest = o.predicted(as_it_is), .weight = share});
  }
  rows.back().weight = 0.5;
  constexpr double kSlower = 1.1;
  for (int c = 0; c < planner::kOpClasses; ++c) {
    const auto op_class = static_cast<OpClass>(c);
    if (op_class == OpClass::Collective && run.measurement.mode == Mode::Replay) continue;
    RefitFactors slower;
    slower[op_class] = kSlower;
    const Prediction with = predicted(run, slower);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Seconds more = observed[i].predicted(with) - observed[i].predicted(as_it_is);
      const Seconds time = std::clamp(more / (kSlower - 1), Seconds{0}, rows[i].rest);
      rows[i].by_class[static_cast<std::size_t>(c)] = time;
      rows[i].rest -= time;
    }
  }
  // Parts that the prediction knows nothing of cannot be corrected by a factor.
  std::erase_if(rows, [](const RefitRow& row) {
    Seconds known = row.rest;
    for (const Seconds time : row.by_class) known += time;
    return known <= Seconds{0};
  });
  return rows;
}

}  // namespace meshplan::runtime
