#pragma once
#include <string>

#include "planner/export/framework_rules.h"
#include "planner/search/search.h"

namespace meshplan::cli {

/// `--for`: the rules of one framework as a search asks them. Refuses one that does other work than
/// the problem's: a trainer for serving, an engine for training.
class FrameworkFilter {
 public:
  FrameworkFilter(const std::string& name, const profiles::DataFiles& files,
                  const planner::Problem& problem);
  FrameworkFilter(const FrameworkFilter&) = delete;
  FrameworkFilter& operator=(const FrameworkFilter&) = delete;
  /// Asks this filter, which must live as long.
  planner::RefusingRule rule() {
    return [this](const planner::Layout& layout) { return judge_.broken_rule(layout); };
  }
  [[nodiscard]] const planner::TargetFramework& framework() const { return framework_; }

 private:
  planner::FrameworkRules rules_;
  const planner::TargetFramework& framework_;
  planner::FrameworkJudge judge_;
};

}  // namespace meshplan::cli
