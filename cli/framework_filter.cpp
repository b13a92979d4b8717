#include "cli/framework_filter.h"

#include "profiles/input_error.h"

namespace meshplan::cli {

FrameworkFilter::FrameworkFilter(const std::string& name, const profiles::DataFiles& files,
                                 const planner::Problem& problem)
    : rules_(files), framework_(rules_.at(name, "--for")), judge_(framework_, problem) {
  const bool training = problem.workload.kind == planner::Workload::Kind::Training;
  if (framework_.training == training) return;
  throw profiles::InputError("--for",
                             training ? "a framework that trains" : "an engine that serves",
                             framework_.full_name());
}

}  // namespace meshplan::cli
