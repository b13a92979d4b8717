// Every layout computes what one rank computes: losses of five steps, and at the first step the
// gradient of every tensor, gathered. What is left is the order of fp32 sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "runtime/execute/run_on_threads.h"
#include "runtime/execute/whole_gradients.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

/// fp32 has 24 bits, 6e-8. A gradient element sums some hundred products whose order depends on the
/// layout; errors of the sums before it pass through: a few 1e-7 of the largest element are seen.
constexpr double kTolerance = 1e-5;

InProcessOptions options() {
  return {.timeout = profiles::Seconds{60}, .take_turns = false, .in_words = {}};
}

struct Outcome {
  std::vector<double> losses;
  std::map<std::string, Matrix> gradients;
};

Outcome run(const Training& training) {
  const std::vector<RankResult> ranks = run_on_threads(training, options());
  for (const RankResult& rank : ranks) EXPECT_EQ(rank.losses, ranks.front().losses);
  return {ranks.front().losses, whole_gradients(ranks)};
}

const Outcome& one_rank(Family family, double dropout) {
  static std::map<std::pair<Family, double>, Outcome> known;
  const auto key = std::pair(family, dropout);
  if (!known.contains(key)) {
    known[key] = run(tiny_training(tiny_model(family, dropout), "tp1,pp1,dp1,mbs1"));
  }
  return known[key];
}

double largest(const Matrix& matrix) {
  double most = 0;
  for (const float x : matrix.values) most = std::max(most, std::abs(static_cast<double>(x)));
  return most;
}

/// Without rotation a key bias adds the same to every score of a query, which softmax does not see:
/// its gradient is zero.
bool vanishes(Family family, const std::string& name) {
  return family == Family::Gpt && name.ends_with("key bias");
}
/// "layer 2 value bias" for "layer 2 key bias"
const Matrix& sibling(const std::map<std::string, Matrix>& gradients, const std::string& name) {
  return gradients.at(name.substr(0, name.size() - 8) + "value bias");
}

struct Case {
  Family family;
  std::string layout;
  double dropout = 0;
};

class LayoutsAgree : public testing::TestWithParam<Case> {};

TEST_P(LayoutsAgree, WithOneRank) {
  const Case& c = GetParam();
  const Outcome& expected = one_rank(c.family, c.dropout);
  const Outcome found = run(tiny_training(tiny_model(c.family, c.dropout), c.layout));
  ASSERT_EQ(found.losses.size(), 5U);
  for (std::size_t step = 0; step < 5; ++step) {
    EXPECT_NEAR(found.losses[step], expected.losses[step], kTolerance * expected.losses[step])
        << "step " << step;
  }
  ASSERT_EQ(found.gradients.size(), expected.gradients.size());
  for (const auto& [name, gradient] : expected.gradients) {
    ASSERT_TRUE(found.gradients.contains(name)) << name;
    const Matrix& got = found.gradients.at(name);
    if (vanishes(c.family, name)) {
      // Of rounding errors only: small beside the other biases.
      EXPECT_LT(largest(got), kTolerance * largest(sibling(expected.gradients, name))) << name;
    } else {
      EXPECT_LT(relative_difference(got, gradient), kTolerance) << name;
    }
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const std::vector<std::string> layouts = {
      // micro-batches
      "tp1,pp1,dp1,mbs2",
      "tp1,pp1,dp1,mbs8",
      // one axis at a time
      "tp2,pp1,dp1,mbs2",
      "tp4,pp1,dp1,mbs2",
      "tp2,pp1,dp1,mbs2,sp",
      "tp4,pp1,dp1,mbs1,sp",
      "tp1,pp1,dp2,mbs2",
      "tp1,pp1,dp4,mbs1",
      "tp1,pp1,dp2,mbs2,zero1",
      "tp1,pp1,dp4,mbs1,zero1",
      "tp1,pp2,dp1,mbs1",
      "tp1,pp4,dp1,mbs1",
      // schedules
      "tp1,pp2,dp1,mbs1,schedule=gpipe",
      "tp1,pp4,dp1,mbs2,schedule=gpipe",
      "tp1,pp2,dp1,mbs1,vpp2",
      "tp1,pp2,dp1,mbs2,schedule=zb-h1",
      "tp1,pp4,dp1,mbs1,schedule=zb-h1",
      "tp1,pp4,dp1,mbs1,schedule=zb-h2",
      "tp1,pp2,dp1,mbs1,schedule=zb-v",
      // recomputation
      "tp1,pp1,dp1,mbs2,recompute=selective",
      "tp1,pp1,dp1,mbs2,recompute=full",
      "tp2,pp1,dp1,mbs2,sp,recompute=full",
      "tp2,pp2,dp1,mbs1,sp,recompute=selective",
      "tp1,pp2,dp1,mbs1,vpp2,recompute=full",
      "tp1,pp2,dp1,mbs1,recompute=full,schedule=zb-h1",
      // all together, up to 8 ranks
      "tp2,pp2,dp2,mbs1",
      "tp2,pp2,dp2,mbs1,sp,zero1",
      "tp2,pp2,dp2,mbs1,vpp2,sp,recompute=full,zero1",
      "tp2,pp2,dp2,mbs1,sp,recompute=selective,zero1,schedule=zb-h1",
      "tp2,pp2,dp2,mbs1,sp,zero1,schedule=zb-v",
      "tp4,pp2,dp1,mbs1,sp",
      "tp4,pp2,dp1,mbs2,schedule=zb-h2",
      "tp1,pp4,dp2,mbs1,zero1,overlap=grad",
      "tp1,pp2,dp4,mbs1,zero1,overlap=grad+param",
      "tp2,pp1,dp4,mbs1,sp,recompute=full,zero1",
      // other stage splits and rank orders
      "tp1,pp3,dp1,mbs2,stages=1-2-1",
      "tp2,pp2,dp1,mbs2,stages=0-4",
      "tp2,pp2,dp2,mbs1,order=dp-tp-cp-pp",
      "tp2,pp2,dp2,mbs1,sp,zero1,order=pp-cp-dp-tp",
  };
  for (const Family family : {Family::Gpt, Family::Llama, Family::Qwen}) {
    for (const std::string& layout : layouts) all.push_back({family, layout});
  }
  for (const char* layout :
       {"tp1,pp1,dp2,mbs2", "tp2,pp1,dp1,mbs2", "tp4,pp1,dp1,mbs2,sp", "tp1,pp2,dp1,mbs1,vpp2",
        "tp2,pp2,dp2,mbs1,sp,recompute=full,zero1", "tp2,pp2,dp2,mbs1,sp,zero1,schedule=zb-v",
        "tp2,pp1,dp2,mbs2,recompute=selective"}) {
    all.push_back({Family::Gpt, layout, 0.1});
  }
  // Shared key heads, of which tp4 holds copies.
  all.push_back({Family::Llama, "tp4,pp1,dp1,mbs2,sp", 0.1});
  all.push_back({Family::Qwen, "tp2,pp2,dp1,mbs1,recompute=full", 0.1});
  return all;
}

std::string label(const testing::TestParamInfo<Case>& test) {
  constexpr const char* kFamilies[] = {"gpt_", "llama_", "qwen_"};
  std::string text = kFamilies[static_cast<int>(test.param.family)];
  for (const char c : test.param.layout)
    text += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return text + (test.param.dropout > 0 ? "_dropout" : "");
}

INSTANTIATE_TEST_SUITE_P(Matrix, LayoutsAgree, testing::ValuesIn(cases()), label);

TEST(Training, StagesThatDoNotWaitForEachOtherAgreeToo) {
  const auto losses = [](const char* layout) {
    return run(tiny_training(tiny_model(Family::Gpt), layout, 8, 5, 2, /*global_sync=*/false))
        .losses;
  };
  const std::vector<double> expected = losses("tp1,pp1,dp1,mbs1");
  for (const char* layout :
       {"tp1,pp4,dp1,mbs1,schedule=zb-h2", "tp1,pp2,dp2,mbs1,zero1,schedule=zb-v"}) {
    const std::vector<double> found = losses(layout);
    for (std::size_t step = 0; step < 5; ++step) {
      EXPECT_NEAR(found[step], expected[step], kTolerance * expected[step]) << layout;
    }
  }
}

TEST(Training, LearnsTheText) {
  // 97 words at random weights: ln 97 = 4.575 nats. Seven tokens of eight follow from the one
  // before, so a few steps must lower the loss.
  for (const Family family : {Family::Gpt, Family::Llama}) {
    Training training = tiny_training(tiny_model(family), "tp1,pp1,dp1,mbs8");
    training.options.steps = 30;
    training.options.learning_rate = 1e-2F;
    const Outcome outcome = run(training);
    EXPECT_NEAR(outcome.losses.front(), std::log(97.0), 0.05);
    EXPECT_LT(outcome.losses.back(), 4.0);
  }
}

TEST(Training, DropoutChangesTheLossAndTheStepChangesTheMask) {
  EXPECT_NE(one_rank(Family::Gpt, 0.1).losses[0], one_rank(Family::Gpt, 0).losses[0]);
  Training still = tiny_training(tiny_model(Family::Gpt, 0.5), "tp1,pp1,dp1,mbs8");
  still.options.learning_rate = 0;
  const Outcome outcome = run(still);
  EXPECT_NE(outcome.losses[0], outcome.losses[1]);
}

}  // namespace
}  // namespace meshplan::runtime
