#include "planner/fit/streaming.h"

#include <algorithm>

#include "planner/fit/split.h"

namespace meshplan::planner {
namespace {

/// Least bytes of the operands, over L2, from which reading them is a stream from memory.
constexpr double kStreamOverL2 = 4;

/// Most rows of a product that computes little on what it reads.
constexpr std::int64_t kFewRows = 64;

/// Bandwidth that one of `reached` in twenty passes; 0 for none.
double upper_twentieth(std::vector<double> reached) {
  if (reached.empty()) return 0;
  const auto upper = reached.begin() + static_cast<std::ptrdiff_t>(19 * reached.size() / 20);
  std::nth_element(reached.begin(), upper, reached.end());
  return *upper;
}

}  // namespace

double streaming_efficiency(const profiles::Device& device, const Tables& tables) {
  const double least = kStreamOverL2 * static_cast<double>(device.l2_cache.count);
  std::vector<double> products, caches;
  for (const GemmMeasurement& row : tables.gemm) {
    const GemmShape& s = row.shape;
    const double bytes = 2.0 * static_cast<double>(s.m * s.k + s.k * s.n + s.m * s.n);
    if (!is_fitted({s.n, s.k}) || s.m > kFewRows || bytes < least) continue;
    products.push_back(bytes / row.seconds);
  }
  for (const AttentionMeasurement& row : tables.attention) {
    const AttentionShape& s = row.shape;
    const double bytes = 2.0 * static_cast<double>(s.batch * s.kv_len) * s.kv_heads *
                         (s.head_dim + s.value_head_dim);
    if (!row.decode() || !is_fitted({s.heads, s.kv_heads, s.head_dim}) || bytes < least) continue;
    caches.push_back(bytes / row.seconds);
  }
  if (products.empty() && caches.empty()) return profiles::MemoryBoundConstants{}.efficiency;
  const double better = std::max(upper_twentieth(products), upper_twentieth(caches));
  return std::min(1.0, better / device.memory_bandwidth.rate);
}

}  // namespace meshplan::planner
