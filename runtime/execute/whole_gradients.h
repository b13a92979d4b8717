#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/execute/execute.h"

namespace meshplan::runtime {

struct Matrix {
  std::int64_t rows = 0, cols = 0;
  std::vector<float> values;  ///< row-major
};

/// The gradient of every parameter of the model, put together from the ranks' parts. Throws
/// std::logic_error when an element is missing, or when two ranks that hold copies of it differ by
/// more than `copies_within` of the parameter's largest element.
std::map<std::string, Matrix> whole_gradients(const std::vector<RankResult>& ranks,
                                              double copies_within = 1e-5);

/// max |a - b| / max |b|; infinity when the shapes differ.
double relative_difference(const Matrix& a, const Matrix& b);

}  // namespace meshplan::runtime
