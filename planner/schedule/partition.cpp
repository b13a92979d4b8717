#include "planner/schedule/partition.h"

#include <algorithm>
#include <limits>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

constexpr double kNever = std::numeric_limits<double>::infinity();

class Partition {
 public:
  explicit Partition(const PartitionProblem& problem)
      : problem_(problem),
        layers_(static_cast<int>(problem.layers.size())),
        before_(problem.layers.size() + 1) {
    for (int k = 0; k < layers_; ++k) {
      before_[index(k + 1)] = before_[index(k)] + problem.layers[index(k)].count();
    }
  }

  std::optional<std::vector<int>> best() {
    // The least greatest cost from each (chunk, first layer) on.
    const auto slowest = solve([&](int c, int first, int end, double rest) {
      return std::max(cost(c, first, end), rest);
    });
    const double limit = slowest[0];
    if (limit == kNever) return std::nullopt;
    // Of all cuts that reach it, the most even one. Sums in another order may differ in the last
    // bits, hence the allowance.
    const double allowance = limit * (1 + 1e-12);
    const auto uneven = solve([&](int c, int first, int end, double rest) {
      const double t = time(c, first, end);
      return cost(c, first, end) <= allowance ? t * t + rest : kNever;
    });
    std::vector<int> out;
    int first = 0;
    for (int c = 0; c < problem_.chunks; ++c) {
      const double goal = uneven[cell(c, first)] * (1 + 1e-12);
      int end = first;
      const auto misses = [&] {
        const double t = time(c, first, end);
        return cost(c, first, end) > allowance || t * t + uneven[cell(c + 1, end)] > goal;
      };
      while (end < layers_ && misses()) ++end;
      out.push_back(end - first);
      first = end;
    }
    return out;
  }

 private:
  static std::size_t index(int k) { return static_cast<std::size_t>(k); }
  [[nodiscard]] std::size_t width() const { return index(layers_ + 1); }
  [[nodiscard]] std::size_t cells() const { return index(problem_.chunks + 1) * width(); }
  [[nodiscard]] std::size_t cell(int c, int first) const {
    return index(c) * width() + index(first);
  }
  [[nodiscard]] bool allowed(int c, int first, int end) const {
    const bool lone_end = problem_.chunks > 1 && (c == 0 || c == problem_.chunks - 1);
    if (end == first && !lone_end) return false;
    return !problem_.fits || problem_.fits(c, first, end - first);
  }

  [[nodiscard]] double time(int c, int first, int end) const {
    double t = before_[index(end)] - before_[index(first)];
    if (c == 0) t += problem_.embedding.count();
    if (c == problem_.chunks - 1) t += problem_.head.count();
    return t;
  }

  /// What the chunk makes of the step; kNever where it may not hold these layers.
  [[nodiscard]] double cost(int c, int first, int end) const {
    if (!allowed(c, first, end)) return kNever;
    const double t = time(c, first, end);
    if (problem_.microbatches == 0) return t;
    const double filled = before_[index(first)] + (c > 0 ? problem_.embedding.count() : 0);
    return problem_.microbatches * t + filled;
  }

  /// value[chunk, first layer] = min over the chunk's end of combine(chunk, first, end,
  /// value[next]); kNever where layers are left over or nothing fits.
  template <typename Combine>
  std::vector<double> solve(Combine&& combine) const {
    std::vector<double> value(cells(), kNever);
    value[cell(problem_.chunks, layers_)] = 0;
    for (int c = problem_.chunks - 1; c >= 0; --c) {
      for (int first = 0; first <= layers_; ++first) {
        double& least = value[cell(c, first)];
        for (int end = first; end <= layers_; ++end) {
          const double rest = value[cell(c + 1, end)];
          if (rest < kNever) least = std::min(least, combine(c, first, end, rest));
        }
      }
    }
    return value;
  }

  const PartitionProblem& problem_;
  int layers_;
  std::vector<double> before_;  ///< time of the layers before each
};

}  // namespace

std::optional<std::vector<int>> balanced_partition(const PartitionProblem& problem) {
  return Partition(problem).best();
}

}  // namespace meshplan::planner
