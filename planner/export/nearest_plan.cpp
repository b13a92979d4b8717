#include "planner/export/nearest_plan.h"

#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "planner/layout/legality.h"
#include "planner/search/search.h"

namespace meshplan::planner {
namespace {

/// `refused` reduced to the keys that are kept.
LayoutText pinned(const Layout& refused, const std::vector<std::string_view>& keys) {
  LayoutText out;
  for (const std::string_view key : keys) {
    out.given.emplace_back(key);
    if (key == "tp") out.layout.tp = refused.tp;
    if (key == "pp") out.layout.pp = refused.pp;
    if (key == "dp") out.layout.dp = refused.dp;
    if (key == "cp") out.layout.cp = refused.cp;
    if (key == "ep") out.layout.ep = refused.ep;
    if (key == "mbs") out.layout.mbs = refused.mbs;
  }
  return out;
}

std::optional<NearestPlan> nearest_training(const TargetFramework& framework,
                                            const Problem& problem, const Layout& refused) {
  FrameworkJudge judge(framework, problem);
  const std::vector<std::vector<std::string_view>> kept = {{"tp", "pp", "dp", "cp", "ep", "mbs"},
                                                           {"tp", "pp", "dp", "cp"},
                                                           {"tp", "pp"},
                                                           {"tp"},
                                                           {"pp"},
                                                           {}};
  for (const auto& keys : kept) {
    SearchOptions options;
    options.top = 1;
    options.mend_miss = false;
    options.fixed = pinned(refused, keys);
    options.refusing_rule = [&](const Layout& layout) { return judge.broken_rule(layout); };
    const PlanResult found = search(problem, options);
    if (!found.plans.empty()) {
      return NearestPlan{found.plans.front().layout, found.plans.front().prediction.step};
    }
  }
  return std::nullopt;
}

double distance(const Layout& a, const Layout& b) {
  const auto factor = [](int x, int y) { return std::abs(std::log2(double(x) / y)); };
  return factor(a.tp, b.tp) + factor(a.pp, b.pp) + factor(a.dp, b.dp) + factor(a.cp, b.cp) +
         0.5 * factor(a.ep, b.ep);
}

std::optional<NearestPlan> nearest_inference(const TargetFramework& framework,
                                             const Problem& problem, const Layout& refused) {
  FrameworkJudge judge(framework, problem);
  const int world = refused.devices();
  std::optional<NearestPlan> best;
  double least = 0;
  for (int tp = 1; tp <= world; ++tp) {
    for (int pp = 1; world % tp == 0 && pp <= world / tp; ++pp) {
      if (world / tp % pp != 0) continue;
      const int dp = world / tp / pp;
      for (const std::array<int, 2>& expert :
           {std::array{1, tp}, std::array{tp * dp, 1}, std::array{tp, 1}}) {
        Layout layout;
        layout.tp = tp;
        layout.pp = pp;
        layout.dp = dp;
        layout.ep = expert[0];
        if (expert[1] != tp) layout.etp = expert[1];
        // As engines order ranks; said only where it matters.
        if (pp > 1 && dp > 1) layout.order = {Axis::Tp, Axis::Cp, Axis::Pp, Axis::Dp};
        const double off = distance(layout, refused);
        if (best && off >= least) continue;
        if (broken_rule(layout, problem.model, problem.workload, problem.cluster.devices()) ||
            judge.broken_rule(layout)) {
          continue;
        }
        best = NearestPlan{layout, std::nullopt};
        least = off;
      }
    }
  }
  return best;
}

}  // namespace

std::optional<NearestPlan> nearest_plan(const TargetFramework& framework, const Problem& problem,
                                        const Layout& refused) {
  // No layout makes a serving engine train.
  const bool training = problem.workload.kind == Workload::Kind::Training;
  if (training != framework.training) return std::nullopt;
  return training ? nearest_training(framework, problem, refused)
                  : nearest_inference(framework, problem, refused);
}

}  // namespace meshplan::planner
