// One rank against formulas: the loss equals that of a plain double-precision transformer, and
// every parameter's gradient equals central differences of that loss.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "plain_transformer.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/execute/whole_gradients.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

struct Case {
  Family family;
  double dropout;
};

/// Two layers of two sequences: central differences need hundreds of losses.
Training small(const Case& c) {
  planner::Transformer model = tiny_model(c.family, c.dropout);
  model.layers = 2;
  return tiny_training(model, "tp1,pp1,dp1,mbs1", /*global_batch=*/2, /*steps=*/1);
}

class OneRank : public testing::TestWithParam<Case> {};

TEST_P(OneRank, HasTheLossOfThePlainTransformer) {
  const Training training = small(GetParam());
  const double expected = plain_loss(training, plain_parameters(training));
  // fp32: 6e-8 an operation; a sum of 32 products and a mean of 32 tokens.
  EXPECT_NEAR(run_on_threads(training, {}).front().losses.front(), expected, 2e-6 * expected);
}

TEST_P(OneRank, HasTheGradientsOfCentralDifferences) {
  const Training training = small(GetParam());
  auto parameters = plain_parameters(training);
  const auto gradients = whole_gradients(run_on_threads(training, {}));
  ASSERT_EQ(gradients.size(), parameters.size());
  for (auto& [name, matrix] : parameters) {
    ASSERT_TRUE(gradients.contains(name)) << name;
    const Matrix& found = gradients.at(name);
    ASSERT_EQ(found.values.size(), matrix.values.size()) << name;
    double largest = 0;
    for (const float g : found.values) {
      largest = std::max(largest, std::abs(static_cast<double>(g)));
    }
    // The element with the largest gradient and five spread over the matrix. h = 1e-4 leaves an
    // error of h^2 times the third derivative, about 1e-8, and 1e-16 / h = 1e-12 of rounding.
    const auto top = std::max_element(found.values.begin(), found.values.end(),
                                      [](float a, float b) { return std::abs(a) < std::abs(b); });
    std::vector<std::size_t> places = {static_cast<std::size_t>(top - found.values.begin())};
    for (std::size_t k = 0; k < 5; ++k) places.push_back((2 * k + 1) * matrix.values.size() / 10);
    for (const std::size_t i : places) {
      constexpr double kStep = 1e-4;
      const double value = matrix.values[i];
      matrix.values[i] = value + kStep;
      const double above = plain_loss(training, parameters);
      matrix.values[i] = value - kStep;
      const double below = plain_loss(training, parameters);
      matrix.values[i] = value;
      EXPECT_NEAR(static_cast<double>(found.values[i]), (above - below) / (2 * kStep),
                  1e-4 * largest + 2e-8)
          << name << " element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, OneRank,
                         testing::Values(Case{Family::Gpt, 0}, Case{Family::Llama, 0},
                                         Case{Family::Qwen, 0}, Case{Family::Gpt, 0.25},
                                         Case{Family::Qwen, 0.25}));

}  // namespace
}  // namespace meshplan::runtime
