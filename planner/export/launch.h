#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "planner/export/framework_rules.h"
#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/engine.h"

namespace meshplan::planner {

/// What a launch configuration is made from.
struct LaunchPlan {
  const Problem& problem;
  Layout layout;
  /// What the file says of itself in comments: framework and version, plan, prediction.
  std::vector<std::string> notes;
  /// Inference: the engine's habits that the prediction rests on; none: its own defaults.
  std::optional<profiles::Engine> engine = {};
};

/// The configuration of a layout as `framework` takes it: a script of flags, JSON, TOML or Python.
/// The layout must keep the framework's rules. What is written is read back before it is returned:
/// throws std::logic_error if it means another layout.
std::string launch_text(const TargetFramework& framework, const LaunchPlan& plan);

/// The layout that a configuration means, written by launch_text. `problem` gives what such files
/// do not say (layers, world, batch). Throws InputError at `where` for what it does not understand.
Layout layout_from_launch(const TargetFramework& framework, std::string_view text,
                          const Problem& problem, const std::string& where);

/// The keys of a configuration: flags, environment variables, JSON and TOML keys with their
/// sections ("zero_optimization.stage"), named arguments of Python calls ("GPipe.balance").
std::vector<std::string> launch_keys(const TargetFramework& framework, std::string_view text,
                                     const std::string& where);

}  // namespace meshplan::planner
