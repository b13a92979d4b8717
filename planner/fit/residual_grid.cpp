#include "planner/fit/residual_grid.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace meshplan::planner {
namespace {

using profiles::LogGrid;
using Corners = std::vector<LogGrid::Corner>;

constexpr double kTrusted = 0.1;
constexpr int kReweightings = 6;
constexpr int kMostIterations = 80;

/// The normal equations A x = b of the sum above, A applied without being stored.
struct Equations {
  const std::vector<Corners>& rows;
  const std::vector<std::pair<std::size_t, std::size_t>>& neighbours;
  const GridStiffness& stiffness;
  std::vector<double> weights;

  [[nodiscard]] std::vector<double> times(const std::vector<double>& x) const {
    std::vector<double> out(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = stiffness.shrink * x[i];
    for (const auto& [a, b] : neighbours) {
      const double difference = stiffness.smooth * (x[a] - x[b]);
      out[a] += difference;
      out[b] -= difference;
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      double sum = 0;
      for (const auto& corner : rows[r]) sum += corner.weight * x[corner.index];
      for (const auto& corner : rows[r]) {
        out[corner.index] += weights[r] * corner.weight * sum;
      }
    }
    return out;
  }
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Conjugate gradients from `x` on.
void solve(const Equations& equations, const std::vector<double>& right, std::vector<double>& x) {
  std::vector<double> rest = right;
  const std::vector<double> start = equations.times(x);
  for (std::size_t i = 0; i < x.size(); ++i) rest[i] -= start[i];
  std::vector<double> direction = rest;
  double size = dot(rest, rest);
  for (int iteration = 0; iteration < kMostIterations && size > 1e-12; ++iteration) {
    const std::vector<double> image = equations.times(direction);
    const double step = size / dot(direction, image);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] += step * direction[i];
      rest[i] -= step * image[i];
    }
    const double next = dot(rest, rest);
    for (std::size_t i = 0; i < x.size(); ++i) {
      direction[i] = rest[i] + next / size * direction[i];
    }
    size = next;
  }
}

/// Pairs of nodes that are next to each other on one axis.
std::vector<std::pair<std::size_t, std::size_t>> neighbouring_nodes(
    const std::vector<std::vector<double>>& axes, std::size_t nodes) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  std::size_t stride = 1;
  for (std::size_t a = axes.size(); a-- > 0; stride *= axes[a].size()) {
    for (std::size_t i = 0; i < nodes; ++i) {
      if (i / stride % axes[a].size() + 1 < axes[a].size()) out.emplace_back(i, i + stride);
    }
  }
  return out;
}

}  // namespace

profiles::LogGrid fit_residual_grid(const std::vector<std::vector<double>>& axes,
                                    const std::vector<Residual>& residuals,
                                    const GridStiffness& stiffness) {
  std::size_t nodes = 1;
  for (const std::vector<double>& axis : axes) nodes *= axis.size();
  std::vector<double> values(nodes, 0.0);
  const LogGrid grid(axes, values);
  std::vector<Corners> rows;
  rows.reserve(residuals.size());
  for (const Residual& residual : residuals) rows.push_back(grid.corners(residual.shape));
  const auto neighbours = neighbouring_nodes(axes, nodes);

  Equations equations{rows, neighbours, stiffness, std::vector<double>(rows.size(), 1.0)};
  for (int round = 0; round < kReweightings; ++round) {
    std::vector<double> right(nodes, 0.0);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      double predicted = 0;
      for (const auto& corner : rows[r]) predicted += corner.weight * values[corner.index];
      const double distance = std::abs(residuals[r].value - predicted);
      equations.weights[r] = distance <= kTrusted ? 1 : kTrusted / distance;
      for (const auto& corner : rows[r]) {
        right[corner.index] += equations.weights[r] * corner.weight * residuals[r].value;
      }
    }
    solve(equations, right, values);
  }
  for (double& value : values) value = std::round(value * 1000) / 1000;
  return {axes, std::move(values)};
}

}  // namespace meshplan::planner
