#include "planner/inference/samples.h"

#include <algorithm>

namespace meshplan::planner {

using profiles::Seconds;

Seconds Samples::mean() const { return Seconds{count_ > 0 ? sum_ / count_ : 0}; }

Percentiles Samples::percentiles() const {
  std::vector<Seen> sorted = seen_;
  std::ranges::sort(sorted, {}, &Seen::seconds);
  const auto at = [&](double part) {
    double passed = 0;
    for (const Seen& seen : sorted) {
      passed += seen.requests;
      if (passed >= part * count_) return Seconds{seen.seconds};
    }
    return Seconds{0};
  };
  return {at(0.50), at(0.99)};
}

}  // namespace meshplan::planner
