#pragma once
#include <map>
#include <string>
#include <vector>

#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// A matrix of doubles, row-major.
struct PlainMatrix {
  int rows = 0, cols = 0;
  std::vector<double> values;
  double& at(int r, int c) { return values[static_cast<std::size_t>(r) * cols + c]; }
  [[nodiscard]] double at(int r, int c) const {
    return values[static_cast<std::size_t>(r) * cols + c];
  }
};

/// The whole model by parameter name, with the values that the executor draws from `seed`.
std::map<std::string, PlainMatrix> plain_parameters(const Training& training);
std::map<std::string, PlainMatrix> plain_parameters(const planner::Transformer& model,
                                                    std::uint64_t seed);

/// The oracle: mean loss of the global batch at step 0 in double precision, written as the formulas
/// stand, with nothing of the executor or the kernels but their random numbers and the text.
double plain_loss(const Training& training, const std::map<std::string, PlainMatrix>& parameters);

/// The same for serving: logits of the token after `text`, computed from the whole of it.
std::vector<double> plain_logits(const planner::Transformer& model,
                                 const std::map<std::string, PlainMatrix>& parameters,
                                 const std::vector<std::int32_t>& text);

}  // namespace meshplan::runtime
