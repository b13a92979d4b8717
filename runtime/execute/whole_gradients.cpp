#include "runtime/execute/whole_gradients.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace meshplan::runtime {
namespace {

double largest(const std::vector<float>& values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(static_cast<double>(value)));
  return most;
}

}  // namespace

std::map<std::string, Matrix> whole_gradients(const std::vector<RankResult>& ranks,
                                              double copies_within) {
  constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
  std::map<std::string, Matrix> whole;
  std::map<std::string, double> apart;  // between copies
  for (const RankResult& rank : ranks) {
    for (const GradientPart& part : rank.gradients) {
      Matrix& matrix = whole[part.name];
      if (matrix.values.empty()) {
        matrix = {part.rows, part.cols, {}};
        matrix.values.assign(static_cast<std::size_t>(part.rows * part.cols), kMissing);
      }
      for (std::int64_t r = 0; r < part.part_rows; ++r) {
        for (std::int64_t c = 0; c < part.part_cols; ++c) {
          float& to = matrix.values[(part.first_row + r) * part.cols + part.first_col + c];
          const float from = part.values[r * part.part_cols + c];
          if (!std::isnan(to)) {
            double& most = apart[part.name];
            most = std::max(most, std::abs(static_cast<double>(to) - static_cast<double>(from)));
          }
          to = from;
        }
      }
    }
  }
  for (const auto& [name, matrix] : whole) {
    if (std::any_of(matrix.values.begin(), matrix.values.end(),
                    [](float value) { return std::isnan(value); })) {
      throw std::logic_error("gradient of " + name + ": not all of it was computed");
    }
    if (apart.contains(name) && apart[name] > copies_within * largest(matrix.values)) {
      throw std::logic_error("gradient of " + name + ": its copies differ");
    }
  }
  return whole;
}

double relative_difference(const Matrix& a, const Matrix& b) {
  if (a.rows != b.rows || a.cols != b.cols) return std::numeric_limits<double>::infinity();
  double most = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    most = std::max(most,
                    std::abs(static_cast<double>(a.values[i]) - static_cast<double>(b.values[i])));
  }
  const double scale = largest(b.values);
  return scale > 0 ? most / scale : (most > 0 ? std::numeric_limits<double>::infinity() : 0);
}

}  // namespace meshplan::runtime
