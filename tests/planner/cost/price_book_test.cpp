#include "planner/cost/price_book.h"

#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

TEST(PriceBook, LargeDegreesShareNoPrices) {
  // 1536 tensor ranks share the experts of two or of four expert ranks: half as many each. An
  // expert tp of 1536 needs more than the eight bits that would tell its neighbours apart.
  const Problem problem = test::training_problem("mixtral-8x7b", "dgx-h100:768", 4096, 64);
  PriceBook book(problem);
  const auto experts = [&](const char* text) {
    return book.parameters(layout_from_text(text)).sparse_layer.experts;
  };
  const auto two = experts("tp1536,pp1,dp4,mbs1,ep2,sp");
  ASSERT_GT(two, 0);
  const auto four = experts("tp1536,pp1,dp4,mbs1,ep4,sp");
  EXPECT_GE(four, two / 2);
  EXPECT_LE(four, two / 2 + 1) << "of a shape that does not divide";
}

TEST(PriceBook, OptionsShareNoActivations) {
  const Problem problem = test::training_problem("llama-3-8b", "dgx-h100:1", 4096, 64);
  PriceBook book(problem);
  const auto saved = [&](const char* text) {
    return book.activations(layout_from_text(text)).dense_layer.count;
  };
  const auto whole = saved("tp8,pp1,dp1,mbs1");
  EXPECT_LT(saved("tp8,pp1,dp1,mbs1,sp"), whole);
  EXPECT_LT(saved("tp8,pp1,dp1,mbs1,recompute=full"), whole);
  EXPECT_EQ(saved("tp8,pp1,dp1,mbs2"), 2 * whole);
  EXPECT_EQ(saved("tp8,pp1,dp1,mbs1"), whole);
}

}  // namespace
}  // namespace meshplan::planner
