#include "planner/search/search_space.h"

#include <gtest/gtest.h>

#include <map>
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

TEST(SearchSpace, LongSequencesAreCutWhereEnoughTokensStay) {
  const auto kinds_by_cp = [](int seq_len) {
    const Problem problem = training_problem("gpt2", "dgx-h100:2", seq_len, 16);
    std::map<int, std::set<ContextKind>> out;
    SearchSpace(problem.model, problem.workload, 16).for_each([&](const Layout& layout) {
      out[layout.cp].insert(layout.cp_kind);
    });
    return out;
  };
  EXPECT_EQ(kinds_by_cp(4096), (std::map<int, std::set<ContextKind>>{{1, {ContextKind::Ring}}}));
  // 32,768 tokens: 4,096 a rank with cp 8. gpt2 has 12 heads: cp 2 and 4 can share them, 8 cannot.
  const std::set<ContextKind> all = {ContextKind::Ring, ContextKind::AllGather,
                                     ContextKind::Ulysses};
  const std::set<ContextKind> by_tokens = {ContextKind::Ring, ContextKind::AllGather};
  EXPECT_EQ(kinds_by_cp(32768), (std::map<int, std::set<ContextKind>>{
                                    {1, {ContextKind::Ring}}, {2, all}, {4, all}, {8, by_tokens}}));
}

TEST(SearchSpace, SizeOfCutSequencesByHand) {
  // Two devices, batch 1, 8,192 tokens: tp2; pp2; dp2 (the batch does not divide: mbs 1); cp2.
  const Problem problem = training_problem("gpt2", "dgx-h100:1/2", 8192, 1);
  const SearchSpace space(problem.model, problem.workload, 2);
  // tp2 9, pp2 27, dp2 24: as SizeByHand with one micro-batch size.
  // cp2: zero and overlap 8 (replicas, as dp2), recompute 3, ring, all-gather and Ulysses: 72.
  EXPECT_EQ(space.size(), 9 + 27 + 24 + 72);
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
