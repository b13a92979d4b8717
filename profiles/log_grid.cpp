#include "profiles/log_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace meshplan::profiles {
namespace {

constexpr std::size_t kMostAxes = 5;

/// Where `x` lies on an axis: node `low` and the share of node `low + 1`.
struct Position {
  std::size_t low = 0;
  double share = 0;
  bool inside = true;
};

Position position(const std::vector<double>& log_axis, double x) {
  if (x <= log_axis.front()) return {0, 0, x >= log_axis.front() - 1e-9};
  if (x >= log_axis.back()) return {log_axis.size() - 1, 0, x <= log_axis.back() + 1e-9};
  const auto above = std::upper_bound(log_axis.begin(), log_axis.end(), x);
  const auto low = static_cast<std::size_t>(above - log_axis.begin()) - 1;
  return {low, (x - log_axis[low]) / (log_axis[low + 1] - log_axis[low]), true};
}

}  // namespace

LogGrid::LogGrid(std::vector<std::vector<double>> axes, std::vector<double> values)
    : axes_(std::move(axes)), values_(std::move(values)) {
  if (axes_.size() > kMostAxes) throw std::invalid_argument("a grid of at most 5 axes");
  std::size_t nodes = axes_.empty() ? 0 : 1;
  for (const std::vector<double>& axis : axes_) {
    if (axis.empty() || axis.front() <= 0 ||
        std::adjacent_find(axis.begin(), axis.end(), std::greater_equal<>()) != axis.end()) {
      throw std::invalid_argument("ascending positive nodes on each axis");
    }
    nodes *= axis.size();
    std::vector<double>& logs = log_axes_.emplace_back();
    for (const double node : axis) logs.push_back(std::log(node));
  }
  if (nodes != values_.size()) throw std::invalid_argument("one value per node of the grid");
}

LogGrid::Lookup LogGrid::at(std::span<const double> shape) const {
  if (axes_.empty()) return {};
  std::array<Position, kMostAxes> positions;
  Lookup out{0, true};
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    positions[a] = position(log_axes_[a], std::log(shape[a]));
    out.inside = out.inside && positions[a].inside;
  }
  for (std::size_t corner = 0; corner < (std::size_t{1} << axes_.size()); ++corner) {
    double weight = 1;
    std::size_t index = 0;
    for (std::size_t a = 0; a < axes_.size(); ++a) {
      const bool high = ((corner >> a) & 1U) != 0;
      weight *= high ? positions[a].share : 1 - positions[a].share;
      if (weight == 0) break;
      index = index * axes_[a].size() + positions[a].low + (high ? 1 : 0);
    }
    if (weight > 0) out.value += weight * values_[index];
  }
  return out;
}

std::vector<LogGrid::Corner> LogGrid::corners(std::span<const double> shape) const {
  std::vector<Corner> out{{0, 1.0}};
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    const Position p = position(log_axes_[a], std::log(shape[a]));
    std::vector<Corner> next;
    for (const Corner& c : out) {
      const std::size_t index = c.index * axes_[a].size() + p.low;
      if (p.share < 1) next.push_back({index, c.weight * (1 - p.share)});
      if (p.share > 0) next.push_back({index + 1, c.weight * p.share});
    }
    out = std::move(next);
  }
  return out;
}

}  // namespace meshplan::profiles
