#include "planner/software.h"

#include <algorithm>

namespace meshplan::planner {

profiles::Framework software_of(const std::string& name, const Problem& problem,
                                const profiles::DataFiles& files) {
  constexpr int kHopper = 90;
  int capability = problem.cluster.device.compute_capability;
  if (problem.model.normalization == Normalization::RmsNorm) {
    capability = std::max(capability, kHopper);
  }
  return profiles::load_framework(
      name, files, {.compute_capability = capability, .data_type = problem.workload.data_type});
}

}  // namespace meshplan::planner
