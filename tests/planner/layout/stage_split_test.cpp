#include "planner/layout/stage_split.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

TEST(DefaultSplit, EvenWhenItDivides) {
  EXPECT_EQ(default_split(32, 4, 0, 2.5), (std::vector<int>{8, 8, 8, 8}));
}

TEST(DefaultSplit, EndsOneShortWhenTwoMoreWouldDivide) {
  EXPECT_EQ(default_split(30, 4, 0, 2.5), (std::vector<int>{7, 8, 8, 7}));
  EXPECT_EQ(default_split(2, 4, 0, 1), (std::vector<int>{0, 1, 1, 0}));
}

TEST(DefaultSplit, ElseBalancedWithTheHeadCounted) {
  // 13 layers on 4 chunks, head = 2 layers: 15 in all, so some chunk weighs at least 4.
  const auto split = default_split(13, 4, 0, 2);
  EXPECT_EQ(std::accumulate(split.begin(), split.end(), 0), 13);
  EXPECT_LE(*std::max_element(split.begin(), split.end() - 1), 4);
  EXPECT_LE(split.back() + 2, 4);
}

/// The least possible greatest weight over all contiguous splits, by trying them all.
double brute_force_weight(int layers, int chunks, double first, double last) {
  double best = 1e300;
  std::vector<int> split(static_cast<std::size_t>(chunks));
  const std::function<void(int, int)> place = [&](int c, int left) {
    if (c == chunks) {
      if (left != 0) return;
      double most = 0;
      for (int i = 0; i < chunks; ++i) {
        const int n = split[static_cast<std::size_t>(i)];
        if (n == 0 && i != 0 && i != chunks - 1) return;
        most = std::max(most, n + (i == 0 ? first : 0) + (i == chunks - 1 ? last : 0));
      }
      best = std::min(best, most);
      return;
    }
    for (int n = 0; n <= left; ++n) {
      split[static_cast<std::size_t>(c)] = n;
      place(c + 1, left - n);
    }
  };
  place(0, layers);
  return best;
}

TEST(DefaultSplit, IsAsBalancedAsTryingAllOfThem) {
  EXPECT_TRUE(rc::check([] {
    const int chunks = *rc::gen::inRange(2, 6);
    const int layers = *rc::gen::inRange(chunks, 14);
    RC_PRE(layers % chunks != 0 && (layers + 2) % chunks != 0);
    const double head = *rc::gen::inRange(0, 12) / 4.0;
    const auto split = default_split(layers, chunks, 0, head);
    RC_ASSERT(static_cast<int>(split.size()) == chunks);
    RC_ASSERT(std::accumulate(split.begin(), split.end(), 0) == layers);
    double most = 0;
    for (int c = 0; c < chunks; ++c) {
      most = std::max(most, split[static_cast<std::size_t>(c)] + (c == chunks - 1 ? head : 0.0));
    }
    RC_ASSERT(most <= brute_force_weight(layers, chunks, 0, head) + 1e-9);
  }));
}

TEST(OwnerOfChunk, RoundRobinAndV) {
  EXPECT_EQ(owner_of_chunk(layout_from_text("pp4,vpp2"), 5), 1);
  const Layout v = layout_from_text("pp4,schedule=zb-v");
  EXPECT_EQ(owner_of_chunk(v, 3), 3);
  EXPECT_EQ(owner_of_chunk(v, 4), 3);
  EXPECT_EQ(owner_of_chunk(v, 7), 0);
}

}  // namespace
}  // namespace meshplan::planner
