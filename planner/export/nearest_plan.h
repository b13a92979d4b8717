#pragma once
#include <optional>

#include "planner/export/framework_rules.h"
#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// A layout near one that a framework refused.
struct NearestPlan {
  Layout layout;
  std::optional<profiles::Seconds> step;  ///< none for inference: chosen by its degrees alone
};

/// The nearest layout to `refused` that the framework runs. Training: the fastest that fits among
/// those with the same degrees and micro-batch; if there is none, with the same tensor and pipeline
/// degrees, then either alone, then any. Inference: the one on as many devices whose degrees are
/// off by the least factors. None if the framework runs nothing of this problem.
std::optional<NearestPlan> nearest_plan(const TargetFramework& framework, const Problem& problem,
                                        const Layout& refused);

}  // namespace meshplan::planner
