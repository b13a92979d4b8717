#include "runtime/measure/measurement.h"

#include <algorithm>
#include <array>
#include <utility>

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

namespace {

template <typename Value>
Value lower_median(std::vector<Value> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

profiles::Seconds median(std::vector<profiles::Seconds> values) {
  return lower_median(std::move(values));
}
double median(std::vector<double> values) { return lower_median(std::move(values)); }

}  // namespace meshplan::runtime
