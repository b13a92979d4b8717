#include "planner/search/search_space.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using test::training_problem;

TEST(SearchSpace, HoldsEachLayoutOnce) {
  const Problem problem = training_problem("gpt2", "dgx-h100:2", 1024, 16);
  const SearchSpace space(problem.model, problem.workload, problem.cluster.devices());
  std::set<std::string> seen;
  std::int64_t count = 0;
  space.for_each([&](const Layout& layout) {
    EXPECT_EQ(layout.devices(), 16);
    EXPECT_TRUE(seen.insert(text(layout)).second) << text(layout);
    ++count;
  });
  EXPECT_EQ(count, space.size());
}

TEST(SearchSpace, SizeByHand) {
  // Two devices, 12 heads, 12 layers, batch 2. tp pp dp: 2 1 1, 1 2 1, 1 1 2.
  const Problem problem = training_problem("gpt2", "dgx-h100:1/2", 1024, 2);
  const SearchSpace space(problem.model, problem.workload, 2);
  // tp2: mbs 1, 2; sp off (no overlap) or on (none, tp): 1 + 2; recompute 3; one pipeline: 18.
  // pp2: mbs 1, 2; 1f1b, gpipe, zb-h1, zb-h2, zb-v, and vpp 2, 3, 6 (12 layers / 4, 6, 12 chunks)
  //      and 7 (14 / 14: both ends one short): 9; recompute 3: 54.
  // dp2: mbs 1; zero 0 (none, grad), 1 (none, grad, grad+param), 2 (none, grad+param), 3 (none): 8;
  //      recompute 3: 24.
  EXPECT_EQ(space.size(), 18 + 54 + 24);
}

TEST(SearchSpace, FixPinsKeys) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 64);
  const LayoutText fixed = read_layout_text("tp4,recompute=full,schedule=zb-h1", "--fix");
  const SearchSpace space(problem.model, problem.workload, 16, fixed);
  std::int64_t count = 0;
  space.for_each([&](const Layout& layout) {
    EXPECT_EQ(layout.tp, 4);
    EXPECT_EQ(layout.recompute, Recompute::Full);
    EXPECT_EQ(layout.schedule, ScheduleKind::ZbH1);
    ++count;
  });
  EXPECT_GT(count, 0);
  EXPECT_EQ(count, space.size());
}

}  // namespace
}  // namespace meshplan::planner
