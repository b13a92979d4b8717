#include "planner/cluster/max_min.h"

#include <algorithm>
#include <limits>

namespace meshplan::planner {

using profiles::BytesPerSecond;

std::vector<BytesPerSecond> max_min_rates(const std::vector<BytesPerSecond>& capacity,
                                          const std::vector<std::vector<int>>& flows) {
  std::vector<double> left(capacity.size());
  std::transform(capacity.begin(), capacity.end(), left.begin(),
                 [](BytesPerSecond one) { return one.rate; });
  std::vector<int> rising(capacity.size());  // uses by flows that still rise
  std::vector<bool> settled(flows.size());
  for (std::size_t f = 0; f < flows.size(); ++f) {
    settled[f] = flows[f].empty();
    for (const int link : flows[f]) ++rising[link];
  }
  std::vector<BytesPerSecond> rates(flows.size());
  double level = 0;
  for (;;) {
    double rise = std::numeric_limits<double>::infinity();
    int full = -1;
    for (std::size_t link = 0; link < left.size(); ++link) {
      if (rising[link] > 0 && left[link] / rising[link] < rise) {
        rise = left[link] / rising[link];
        full = static_cast<int>(link);
      }
    }
    if (full < 0) return rates;
    level += rise;
    for (std::size_t link = 0; link < left.size(); ++link) left[link] -= rise * rising[link];
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (settled[f] || std::find(flows[f].begin(), flows[f].end(), full) == flows[f].end())
        continue;
      settled[f] = true;
      rates[f] = {level};
      for (const int link : flows[f]) --rising[link];
    }
  }
}

}  // namespace meshplan::planner
