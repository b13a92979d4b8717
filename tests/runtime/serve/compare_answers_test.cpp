#include "runtime/serve/compare_answers.h"

#include <gtest/gtest.h>

namespace meshplan::runtime {
namespace {

using Answers = std::vector<std::vector<GeneratedToken>>;
constexpr double kTolerance = 1e-4;

const Answers kExpected = {{{5, 2.0F, 7, 1.0F}, {6, 4.0F, 3, 3.0F}}, {{8, 2.0F, 9, 1.9999F}}};

TEST(CompareAnswers, OfTheSameIsNoDifference) {
  const AnswerComparison same = compare_answers(kExpected, kExpected, kTolerance);
  EXPECT_FALSE(same.difference);
  EXPECT_EQ(same.tokens, 3);
  EXPECT_EQ(same.logit_difference, 0);
  EXPECT_EQ(same.near_ties, 0);
}

TEST(CompareAnswers, NamesTheFirstOtherToken) {
  Answers found = kExpected;
  found[0][1] = {3, 4.0F, 6, 3.0F};
  const AnswerComparison other = compare_answers(kExpected, found, kTolerance);
  ASSERT_TRUE(other.difference);
  EXPECT_EQ(other.difference->request, 0);
  EXPECT_EQ(other.difference->token, 1);
  EXPECT_EQ(other.difference->found.token, 3);
  EXPECT_EQ(other.tokens, 1);
}

TEST(CompareAnswers, FindsALogitThatIsOffThoughItsWordIsRight) {
  Answers found = kExpected;
  found[0][0].logit = 2.0004F;  // twice the tolerance
  EXPECT_TRUE(compare_answers(kExpected, found, kTolerance).difference);
  found[0][0].logit = 2.0001F;
  const AnswerComparison within = compare_answers(kExpected, found, kTolerance);
  EXPECT_FALSE(within.difference);
  EXPECT_NEAR(within.logit_difference, 5e-5, 1e-6);
}

TEST(CompareAnswers, LetsTwoEquallyLikelyWordsPart) {
  // The words of request 1 are 5e-5 apart: rounding decides, and what follows is of another text.
  Answers found = kExpected;
  found[1] = {{9, 2.0F, 8, 1.9999F}};
  const AnswerComparison tie = compare_answers(kExpected, found, kTolerance);
  EXPECT_FALSE(tie.difference);
  EXPECT_EQ(tie.near_ties, 1);
  EXPECT_EQ(tie.tokens, 2);
  found[1][0].token = 4;  // neither of the two
  EXPECT_TRUE(compare_answers(kExpected, found, kTolerance).difference);
}

TEST(CompareAnswers, MissesATokenThatDidNotCome) {
  Answers found = kExpected;
  found[0].pop_back();
  const AnswerComparison shorter = compare_answers(kExpected, found, kTolerance);
  ASSERT_TRUE(shorter.difference);
  EXPECT_EQ(shorter.difference->token, 1);
  EXPECT_EQ(shorter.difference->found.token, -1);
}

}  // namespace
}  // namespace meshplan::runtime
