#include "runtime/measure/measurement.h"

#include <algorithm>
#include <array>

namespace meshplan::runtime {

std::string_view name(Mode mode) {
  constexpr std::array<std::string_view, 3> kNames = {"parallel", "replay", "partitioned"};
  return kNames[static_cast<std::size_t>(mode)];
}

profiles::Seconds Measurement::least() const {
  return *std::min_element(steps.begin(), steps.end());
}
profiles::Seconds Measurement::most() const {
  return *std::max_element(steps.begin(), steps.end());
}

profiles::Seconds median(std::vector<profiles::Seconds> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace meshplan::runtime
