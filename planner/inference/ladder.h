#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

/// Functions of a count that are dear to compute and smooth: computed at rungs, four to the octave,
/// where they are asked, and linear between.
namespace meshplan::planner {

/// 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ...
inline std::int64_t rung(std::size_t index) {
  const auto i = static_cast<std::int64_t>(index);
  if (i < 8) return i;
  return (4 + i % 4) << (i / 4 - 1);
}

/// Where a count stands: `share` of the way from rung `below` to the next.
struct BetweenRungs {
  std::size_t below = 0;
  double share = 0;
};
/// A count below one stands on the first rung but 0: of a step there is a token or none.
inline BetweenRungs between_rungs(double count) {
  const double asked = std::max(count, 1.0);
  auto below = static_cast<std::size_t>(asked);
  if (asked >= 8) {
    const int octave = std::ilogb(asked);
    const auto quarter = static_cast<std::size_t>(asked / std::ldexp(1.0, octave - 2)) - 4;
    below = static_cast<std::size_t>(octave - 1) * 4 + quarter;
  }
  const auto low = static_cast<double>(rung(below));
  return {below, (asked - low) / (static_cast<double>(rung(below + 1)) - low)};
}

/// A function of one count. `Value` is what can be added and scaled.
template <typename Value>
class Ladder {
 public:
  Value at(double count, const std::function<Value(std::int64_t)>& compute) {
    const auto [below, share] = between_rungs(count);
    if (rungs_.size() < below + 2) rungs_.resize(below + 2);
    const auto value = [&](std::size_t index) -> const Value& {
      auto& held = rungs_[index];
      if (!held) held = compute(rung(index));
      return *held;
    };
    if (share <= 0) return value(below);
    return (1 - share) * value(below) + share * value(below + 1);
  }

 private:
  std::vector<std::optional<Value>> rungs_;
};

/// A function of two counts, linear along both.
class LadderGrid {
 public:
  double at(double x, double y, const std::function<double(std::int64_t, std::int64_t)>& compute) {
    const auto [below, share] = between_rungs(x);
    if (lines_.size() < below + 2) lines_.resize(below + 2);
    const auto line = [&](std::size_t index) {
      return lines_[index].at(
          y, [&](std::int64_t rung_of_y) { return compute(rung(index), rung_of_y); });
    };
    if (share <= 0) return line(below);
    return (1 - share) * line(below) + share * line(below + 1);
  }

 private:
  std::vector<Ladder<double>> lines_;
};

}  // namespace meshplan::planner
