// Training in bf16: activations and the parameters that operations read have 8
// significant bits, gradients of parameters, masters and every sum inside a
// kernel are fp32.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "runtime/execute/run_on_threads.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

Training training_of(Family family, const std::string &layout, profiles::DataType type) {
  Training training = tiny_training(tiny_model(family), layout);
  training.workload.data_type = type;
  return training;
}

std::vector<double> losses(const Training &training) {
  return run_on_threads(training, {}).front().losses;
}

/// Neighbours in bf16 are 2^-7 apart relative to their size. Rounding errors of
/// the dozens of tensors between the input and the loss are independent and
/// average over tokens; the loss itself, ln 97 = 4.6 at first, moves by a
/// fraction of one such step.
constexpr double kNear = 0.0078125;

class Bf16 : public testing::TestWithParam<const char *> {};

TEST_P(Bf16, IsNearOneRankInFp32) {
  for (const Family family : {Family::Gpt, Family::Llama, Family::Qwen}) {
    const std::vector<double> exact =
        losses(training_of(family, "tp1,pp1,dp1,mbs1", profiles::DataType::Fp32));
    const std::vector<double> found =
        losses(training_of(family, GetParam(), profiles::DataType::Bf16));
    ASSERT_EQ(found.size(), exact.size());
    for (std::size_t step = 0; step < exact.size(); ++step) {
      EXPECT_NEAR(found[step], exact[step], kNear * exact[step]) << "step " << step;
    }
    EXPECT_NE(found, exact);  // it is not fp32 by mistake
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Bf16,
                         testing::Values("tp1,pp1,dp1,mbs1", "tp2,pp1,dp1,mbs2,sp",
                                         "tp4,pp1,dp1,mbs1", "tp1,pp2,dp1,mbs1,vpp2",
                                         "tp1,pp1,dp2,mbs2,zero1",
                                         "tp2,pp2,dp2,mbs1,sp,recompute=full,zero1",
                                         "tp1,pp2,dp1,mbs1,recompute=selective,schedule=zb-v"));

TEST(Bf16Memory, HasHalfTheValuesAndAMasterBeside) {
  const RankResult fp32 = run_on_threads(
      training_of(Family::Llama, "tp1,pp1,dp1,mbs1", profiles::DataType::Fp32), {})[0];
  const RankResult bf16 = run_on_threads(
      training_of(Family::Llama, "tp1,pp1,dp1,mbs1", profiles::DataType::Bf16), {})[0];
  const auto of = [](const RankResult &r, MemoryTerm term) { return r.term_peaks[term].count; };
  // 4 bytes a parameter become 2; moments of 8 are joined by a master of 4.
  EXPECT_EQ(2 * of(bf16, MemoryTerm::Weights), of(fp32, MemoryTerm::Weights));
  EXPECT_EQ(of(bf16, MemoryTerm::Gradients), of(fp32, MemoryTerm::Gradients));
  EXPECT_EQ(2 * of(bf16, MemoryTerm::Optimizer), 3 * of(fp32, MemoryTerm::Optimizer));
}

TEST(Bf16Master, KeepsUpdatesThatBf16WouldLose) {
  // AdamW moves a weight by about the learning rate, 1e-4 here, of weights of 0.02: half a step of
  // bf16 (2^-9 of 0.02 is 4e-5) and less, so much of it would be lost without a master.
  Training training = training_of(Family::Llama, "tp1,pp1,dp1,mbs8", profiles::DataType::Bf16);
  training.options.steps = 60;
  training.options.learning_rate = 1e-4F;
  const std::vector<double> found = losses(training);
  training.workload.data_type = profiles::DataType::Fp32;
  const std::vector<double> exact = losses(training);
  const double learnt = exact.front() - exact.back();
  EXPECT_GT(learnt, 0.01);
  EXPECT_NEAR(found.front() - found.back(), learnt, 0.3 * learnt);
}

}  // namespace
}  // namespace meshplan::runtime
