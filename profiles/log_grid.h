#pragma once
#include <span>
#include <vector>

namespace meshplan::profiles {

/// A correction ln(measured / model) on a grid of shapes: one axis per dimension of the shape,
/// nodes ascending and positive, values by the last axis fastest. Between nodes it is linear in the
/// logarithms of the shape, beyond the last node constant. Without axes it is 0 everywhere.
class LogGrid {
 public:
  LogGrid() = default;
  /// Throws std::invalid_argument unless every axis ascends, is positive and the sizes agree.
  LogGrid(std::vector<std::vector<double>> axes, std::vector<double> values);

  struct Lookup {
    double value = 0;
    bool inside = false;  ///< within the first and last node on every axis
  };
  /// `shape` has one entry per axis, each > 0.
  [[nodiscard]] Lookup at(std::span<const double> shape) const;

  /// The nodes that at() mixes for `shape`, and their weights (they add up to 1).
  struct Corner {
    std::size_t index;
    double weight;
  };
  [[nodiscard]] std::vector<Corner> corners(std::span<const double> shape) const;

  [[nodiscard]] const std::vector<std::vector<double>>& axes() const { return axes_; }
  [[nodiscard]] const std::vector<double>& values() const { return values_; }
  [[nodiscard]] bool empty() const { return axes_.empty(); }
  friend bool operator==(const LogGrid& a, const LogGrid& b) {
    return a.axes_ == b.axes_ && a.values_ == b.values_;
  }

 private:
  std::vector<std::vector<double>> axes_;
  std::vector<std::vector<double>> log_axes_;
  std::vector<double> values_;
};

}  // namespace meshplan::profiles
