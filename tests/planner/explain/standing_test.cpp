#include "planner/explain/standing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "planner/layout/layout_text.h"
#include "planner/predict.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;
using test::training_problem;
using testing::HasSubstr;
using testing::Not;

Plan predicted(const Problem& problem, const std::string& layout) {
  PriceBook book(problem);
  return predict(book, layout_from_text(layout));
}

std::string why(const Problem& problem, const std::string& layout, const std::string& best) {
  return standing(problem, predicted(problem, layout), predicted(problem, best)).why;
}

const Problem& llama() {
  static const Problem kProblem = training_problem("llama-3-8b", "dgx-h100:2", 8192, 64);
  return kProblem;
}

TEST(Standing, DifferencesAddUpToThatOfTheSteps) {
  const Standing s = standing(llama(), predicted(llama(), "tp4,pp2,dp2,mbs1,sp,zero1"),
                              predicted(llama(), "tp2,pp1,dp8,mbs1,sp,zero1"));
  Seconds sum{0};
  for (const NamedTerm& term : kTerms) sum += s.terms.*term.value - s.best_terms.*term.value;
  EXPECT_NEAR(sum.count(), (s.step - s.best_step).count(), 1e-9);
}

TEST(Standing, TermsHaveNamesOfTheirOwn) {
  // A term counted in one place only: the table reaches all of them.
  Terms terms;
  double value = 1;
  for (const NamedTerm& term : kTerms) terms.*term.value = Seconds{value *= 2};
  EXPECT_DOUBLE_EQ(terms.sum().count(), 1022);  // 2 + 4 + ... + 512
}

TEST(Why, NamesTheBestItself) {
  EXPECT_EQ(why(llama(), "tp2,pp1,dp8,mbs1,sp", "tp2,pp1,dp8,mbs1,sp"), "It is the best layout.");
}

TEST(Why, RecomputationIsCompute) {
  const std::string text =
      why(llama(), "tp2,pp1,dp8,mbs1,sp,recompute=full,zero1", "tp2,pp1,dp8,mbs1,sp,zero1");
  EXPECT_THAT(text, HasSubstr("more compute (recompute=full runs every forward again)"));
  EXPECT_THAT(text, HasSubstr("slower than the best"));
}

TEST(Why, FewMicrobatchesAreBubble) {
  // 64 / 4 = 16 micro-batches over 4 stages; 64 / 1 over 4 stages have a quarter of the bubble...
  const std::string text = why(llama(), "tp1,pp4,dp4,mbs4,zero1,recompute=full",
                               "tp1,pp4,dp4,mbs1,zero1,recompute=full");
  EXPECT_THAT(text, HasSubstr("more bubble (4 stages for 4 micro-batches, the other has 4 stages "
                              "for 16 micro-batches)"));
}

TEST(Why, AZeroBubbleScheduleFillsIt) {
  EXPECT_THAT(why(llama(), "tp2,pp4,dp2,mbs1,sp,zero1", "tp2,pp4,dp2,mbs1,sp,zero1,schedule=zb-v"),
              HasSubstr("zb-v fills it with weight gradients, 1f1b does not"));
}

TEST(Why, TensorParallelismOverNodes) {
  // 16 ranks on nodes of 8.
  EXPECT_THAT(why(llama(), "tp16,pp1,dp1,mbs1,sp", "tp2,pp1,dp8,mbs1,sp,zero1"),
              HasSubstr("its tensor-parallel groups reach over 2 nodes instead of 1"));
}

TEST(Why, GradientsInTheOpen) {
  EXPECT_THAT(
      why(llama(), "tp2,pp1,dp8,mbs1,sp,zero1", "tp2,pp1,dp8,mbs1,sp,zero1,overlap=grad+param"),
      HasSubstr("more data-parallel communication (overlap=none leaves it in the open)"));
}

TEST(Why, FewerDevices) {
  EXPECT_THAT(why(llama(), "tp2,pp1,dp4,mbs1,sp,zero1", "tp2,pp1,dp8,mbs1,sp,zero1"),
              HasSubstr("it uses 8 devices instead of 16"));
}

TEST(Why, AFasterLayoutSaysWhatTheBestSpends) {
  const std::string text =
      why(llama(), "tp2,pp1,dp8,mbs1,sp,zero1", "tp2,pp1,dp8,mbs1,sp,recompute=full,zero1");
  EXPECT_THAT(text, HasSubstr("faster than the best of the searched space, which spends"));
  EXPECT_THAT(text, HasSubstr("more compute"));
  EXPECT_THAT(text, Not(HasSubstr("slower")));
}

}  // namespace
}  // namespace meshplan::planner
