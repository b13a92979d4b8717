#include "planner/explain/memory_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "planner/model/parameters.h"
#include "planner/predict.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using test::training_problem;
using testing::HasSubstr;
using testing::Not;

Plan predicted(const Problem& problem, const std::string& layout) {
  PriceBook book(problem);
  return predict(book, layout_from_text(layout));
}

TEST(StatesEstimate, SixteenBytesAParameterByTheZeroPaper) {
  // ZeRO, figure 1: 7.5 B parameters over 64 ranks: 120, 31.4, 16.6 and 1.9 GB.
  Problem problem = training_problem("gpt2", "dgx-h100:8", 1024, 64);
  const double scale = 7.5e9 / static_cast<double>(parameter_count(problem.model));
  const auto gigabytes = [&](const char* layout) {
    return static_cast<double>(states_estimate(problem, layout_from_text(layout)).total().count) *
           scale / 1e9;
  };
  EXPECT_NEAR(gigabytes("tp1,pp1,dp64,mbs1"), 120, 0.05);
  EXPECT_NEAR(gigabytes("tp1,pp1,dp64,mbs1,zero1"), 31.4, 0.05);
  EXPECT_NEAR(gigabytes("tp1,pp1,dp64,mbs1,zero2"), 16.6, 0.05);
  EXPECT_NEAR(gigabytes("tp1,pp1,dp64,mbs1,zero3"), 1.9, 0.05);
}

TEST(KorthikantiEstimate, ItsOwnTable) {
  // Korthikanti et al., table 3: 22B has 48 layers, hidden 6144, 64 heads, sequence 2048; tensor
  // degree 8, micro-batch 4. With s b h = 2048 * 4 * 6144 = 50,331,648 and 5 a s / h = 106.67:
  //   tp        s b h L (10 + 24/8 + 106.67/8) = 50,331,648 * 48 * 26.3333  = 63,619,203,072
  //   tp + sp   s b h L / 8 (34 + 106.67)      = 50,331,648 * 48 / 8 * 140.6667 = 42,479,910,912
  //   selective 34 s b h L / 8                 = 50,331,648 * 48 / 8 * 34    = 10,267,656,192
  //   full      2 s b h L                      = 4,831,838,208
  const Problem problem = training_problem("megatron-22b", "dgx-a100-80gb:1", 2048, 4);
  const auto activations = [&](const char* layout) {
    return static_cast<double>(
        korthikanti_estimate(problem, layout_from_text(layout)).activations.count);
  };
  EXPECT_NEAR(activations("tp8,pp1,dp1,mbs4"), 63'619'203'072.0, 1e3);
  EXPECT_NEAR(activations("tp8,pp1,dp1,mbs4,sp"), 42'479'910'912.0, 1e3);
  EXPECT_NEAR(activations("tp8,pp1,dp1,mbs4,sp,recompute=selective"), 10'267'656'192.0, 1e3);
  EXPECT_NEAR(activations("tp8,pp1,dp1,mbs4,recompute=full"), 4'831'838'208.0, 1e3);
}

TEST(KorthikantiEstimate, FewMicrobatchesCountOnce) {
  // Two micro-batches over four stages hold half of what four or more hold.
  const auto activations = [](int batch) {
    const Problem problem = training_problem("megatron-22b", "dgx-a100-80gb:1", 2048, batch);
    return korthikanti_estimate(problem, layout_from_text("tp2,pp4,dp1,mbs1,sp")).activations.count;
  };
  EXPECT_EQ(2 * activations(2), activations(4));
  EXPECT_EQ(activations(4), activations(8));
}

TEST(MemoryAccount, TermsAddUpAndComeLargestFirst) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 8192, 64);
  const Plan plan = predicted(problem, "tp2,pp4,dp1,mbs1,sp");
  const MemoryAccount account = memory_account(problem, plan);
  Bytes sum{};
  Bytes last = account.terms.front().size;
  for (const MemoryTerm& term : account.terms) {
    sum += term.size;
    EXPECT_LE(term.size, last);
    last = term.size;
  }
  EXPECT_EQ(account.terms.size(), 10);
  EXPECT_EQ(sum, account.peak);
  EXPECT_EQ(account.peak, peak_bytes(plan.prediction.memory));
}

TEST(MemoryAccount, StatesAloneLeaveOutEverythingElse) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 8192, 64);
  const Plan plan = predicted(problem, "tp8,pp1,dp1,mbs1,sp");
  const MemoryAccount account = memory_account(problem, plan);
  const EstimateCheck& states = account.estimates.front();
  const StageMemory& stage = plan.prediction.memory.front();
  Bytes left_out{};
  for (const MemoryTerm& term : states.left_out) left_out += term.size;
  EXPECT_EQ(left_out, stage.device() - stage.weights - stage.gradients - stage.optimizer);
  EXPECT_EQ(states.off, states.estimate.total() - account.peak);
  EXPECT_THAT(states.why, HasSubstr("too little"));
  EXPECT_THAT(states.why, HasSubstr("leaves out activations"));
  // 2 + 2 + 12 bytes there; gradients are accumulated in fp32 here.
  EXPECT_THAT(states.why,
              HasSubstr("counts 16 bytes of states a parameter where generic habits keep 18"));
}

TEST(MemoryAccount, FlashAttentionIsWhyTheFormulaSaysTooMuch) {
  Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 8192, 64);
  const Plan plan = predicted(problem, "tp8,pp1,dp1,mbs1,sp");
  EXPECT_THAT(memory_account(problem, plan).estimates.back().why,
              HasSubstr("of s x s attention matrices that flash attention never keeps"));
  problem.flash_attention = false;
  const Plan unfused = predicted(problem, "tp8,pp1,dp1,mbs1,sp");
  EXPECT_THAT(memory_account(problem, unfused).estimates.back().why, Not(HasSubstr("never keeps")));
}

}  // namespace
}  // namespace meshplan::planner
