#include "planner/inference/search_inference.h"

#include <algorithm>
#include <chrono>

#include "planner/inference/step_time.h"
#include "planner/layout/legality.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

constexpr int kMostUsers = 1024;

/// Whether `layout` has what the keys that were given ask for.
bool meets(const Layout& layout, const LayoutText& fixed) {
  const Layout& f = fixed.layout;
  const auto as_asked = [&](const char* key, int has, int wanted) {
    return !fixed.has(key) || has == wanted;
  };
  return as_asked("tp", layout.tp, f.tp) && as_asked("pp", layout.pp, f.pp) &&
         as_asked("dp", layout.dp, f.dp) && as_asked("ep", layout.ep, f.ep) &&
         as_asked("etp", layout.expert_tp(), f.expert_tp());
}

/// Ways to lay the experts: cut like everything else, whole over tp, whole over all replicas too.
std::vector<Layout> with_experts(Layout layout, const Transformer& model) {
  std::vector<Layout> out = {layout};
  if (!model.experts) return out;
  layout.etp = 1;
  for (const int ep : {layout.tp, layout.tp * layout.dp}) {
    if (ep == 1 || (ep == layout.tp && out.size() > 1)) continue;
    layout.ep = ep;
    if (out.back().ep != ep) out.push_back(normalised(layout));
  }
  return out;
}

std::vector<Layout> space(const Problem& problem, const ServingSearch& search) {
  std::vector<Layout> out;
  const int devices = problem.cluster.devices();
  for (int used = 1; used <= devices; ++used) {
    if (used < devices && search.objective != ServingObjective::Cost) continue;
    for (int tp = 1; tp <= used; ++tp) {
      if (used % tp != 0) continue;
      for (int pp = 1; pp <= used / tp; ++pp) {
        if (used / tp % pp != 0 || pp > problem.model.layers) continue;
        Layout layout;
        layout.tp = tp;
        layout.pp = pp;
        layout.dp = used / tp / pp;
        for (const Layout& one : with_experts(layout, problem.model)) {
          if (meets(one, search.fixed)) out.push_back(one);
        }
      }
    }
  }
  return out;
}

std::vector<Demand> demands(const ServingSearch& search, const Layout& layout) {
  if (search.demand) return {*search.demand};
  std::vector<Demand> out;
  for (int users = 1; users <= kMostUsers; users *= 2) {
    out.push_back({Demand::Kind::Users, users * layout.dp, search.spread});
  }
  return out;
}

Seconds answer_time(const ServingPlan& plan, const Workload& workload) {
  const Service& s = plan.prediction.service;
  return s.ttft + (workload.output - 1) * s.tpot;
}

/// The larger the better.
double merit(const ServingPlan& plan, const Workload& workload, ServingObjective objective) {
  const InferencePrediction& p = plan.prediction;
  switch (objective) {
    case ServingObjective::Throughput:
      return p.tokens_per_second;
    case ServingObjective::Latency:
      return -answer_time(plan, workload).count();
    case ServingObjective::Memory: {
      std::int64_t least = INT64_MAX;
      for (const ServingMemory& m : p.memory) least = std::min(least, m.cache.count);
      return static_cast<double>(least);
    }
    case ServingObjective::Cost:
      return p.tokens_per_second_per_device;
  }
  return 0;
}

/// Of plans sorted by what users see, those that no faster one beats in tokens a device.
std::vector<ServingPlan> frontier_of(std::vector<ServingPlan> plans) {
  std::stable_sort(plans.begin(), plans.end(), [](const ServingPlan& a, const ServingPlan& b) {
    return a.prediction.tokens_per_second_per_user > b.prediction.tokens_per_second_per_user;
  });
  std::vector<ServingPlan> out;
  double most = 0;
  for (ServingPlan& plan : plans) {
    if (plan.prediction.tokens_per_second_per_device <= most) continue;
    most = plan.prediction.tokens_per_second_per_device;
    out.push_back(std::move(plan));
  }
  return out;
}

}  // namespace

ServingPlans search_inference(const Problem& problem, const profiles::Engine& engine,
                              const ServingSearch& search) {
  const auto start = std::chrono::steady_clock::now();
  ServingPlans out;
  std::vector<ServingPlan> all;
  for (const Layout& layout : space(problem, search)) {
    ++out.candidates;
    const auto broken =
        broken_rule(layout, problem.model, problem.workload, problem.cluster.devices());
    if (broken) {
      ++out.rejected[std::string(name(*broken))];
      continue;
    }
    if (search.refusing_rule) {
      if (const auto rule = search.refusing_rule(layout)) {
        ++out.rejected[*rule];
        continue;
      }
    }
    StepPrices prices(problem, engine, layout);
    std::optional<ServingPlan> best;
    bool fits = false;
    for (const Demand& demand : demands(search, layout)) {
      ServingPlan plan{layout, demand, predict_inference(prices, problem, engine, layout, demand)};
      ++out.predictions;
      if (!plan.prediction.fits) break;
      fits = true;
      const Service& service = plan.prediction.service;
      const bool slow =
          (search.max_ttft && !search.max_ttft->holds(service.ttft, service.ttft_percentiles)) ||
          (search.max_tpot && !search.max_tpot->holds(service.tpot, service.tpot_percentiles));
      if (slow) continue;
      const auto value = [&](const ServingPlan& p) {
        return merit(p, problem.workload, search.objective);
      };
      if (!best || value(plan) > value(*best)) best = plan;
      all.push_back(std::move(plan));
    }
    if (best) {
      out.plans.push_back(std::move(*best));
    } else {
      ++out.rejected[fits ? "too_slow" : "out_of_memory"];
    }
  }
  std::stable_sort(out.plans.begin(), out.plans.end(), [&](const auto& a, const auto& b) {
    return merit(a, problem.workload, search.objective) >
           merit(b, problem.workload, search.objective);
  });
  if (out.plans.size() > static_cast<std::size_t>(search.top)) {
    out.plans.resize(static_cast<std::size_t>(search.top));
  }
  out.frontier = frontier_of(std::move(all));
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace meshplan::planner
