#include "planner/schedule/partition.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

TEST(BalancedPartition, EvenLayersDivideEvenly) {
  PartitionProblem problem{.layers = std::vector<Seconds>(12, Seconds{1}), .chunks = 4};
  EXPECT_EQ(balanced_partition(problem), (std::vector<int>{3, 3, 3, 3}));
}

TEST(BalancedPartition, AHeavyHeadTakesLayersFromItsChunk) {
  // 10 layers of 1 and a head of 2: 12 in all on 3 chunks, so 4, 4 and 2 layers + head.
  PartitionProblem problem{
      .layers = std::vector<Seconds>(10, Seconds{1}), .head = Seconds{2}, .chunks = 3};
  EXPECT_EQ(balanced_partition(problem), (std::vector<int>{4, 4, 2}));
}

TEST(BalancedPartition, AHeadOfAWholeChunkStandsAlone) {
  PartitionProblem problem{
      .layers = std::vector<Seconds>(4, Seconds{1}), .head = Seconds{2}, .chunks = 3};
  EXPECT_EQ(balanced_partition(problem), (std::vector<int>{2, 2, 0}));
}

TEST(BalancedPartition, MemoryMovesLayersToWhereThereIsRoom) {
  // 1F1B keeps more on early stages: the first has room for two layers, the last for six.
  PartitionProblem problem{.layers = std::vector<Seconds>(12, Seconds{1}), .chunks = 3};
  problem.fits = [](int chunk, int, int count) { return count <= 2 * (chunk + 1); };
  EXPECT_EQ(balanced_partition(problem), (std::vector<int>{2, 4, 6}));
}

TEST(BalancedPartition, NothingFitsIsAnAnswer) {
  PartitionProblem problem{.layers = std::vector<Seconds>(12, Seconds{1}), .chunks = 3};
  problem.fits = [](int, int, int count) { return count <= 3; };
  EXPECT_EQ(balanced_partition(problem), std::nullopt);
  // Two layers can serve four chunks, as embedding and head stand alone, but not five.
  problem = {.layers = std::vector<Seconds>(2, Seconds{1}), .chunks = 4};
  EXPECT_EQ(balanced_partition(problem), (std::vector<int>{0, 1, 1, 0}));
  problem.chunks = 5;
  EXPECT_EQ(balanced_partition(problem), std::nullopt);
}

/// Greatest cost and sum of squares of a split; none where it is not allowed.
struct Score {
  double slowest = 0, squares = 0;
};
std::optional<Score> score(const PartitionProblem& p, const std::vector<int>& split) {
  Score out;
  int first = 0;
  double filled = 0;
  for (int c = 0; c < p.chunks; ++c) {
    const int count = split[static_cast<std::size_t>(c)];
    const bool end = p.chunks > 1 && (c == 0 || c == p.chunks - 1);
    if (count == 0 && !end) return std::nullopt;
    if (p.fits && !p.fits(c, first, count)) return std::nullopt;
    double t = 0;
    for (int k = 0; k < count; ++k) t += p.layers[static_cast<std::size_t>(first + k)].count();
    if (c == 0) t += p.embedding.count();
    if (c == p.chunks - 1) t += p.head.count();
    out.slowest = std::max(out.slowest, p.microbatches == 0 ? t : p.microbatches * t + filled);
    out.squares += t * t;
    filled += t;
    first += count;
  }
  return out;
}

/// The best score of all splits, tried one by one.
std::optional<Score> brute_force(const PartitionProblem& p) {
  std::optional<Score> best;
  std::vector<int> split(static_cast<std::size_t>(p.chunks));
  const std::function<void(int, int)> place = [&](int c, int left) {
    if (c + 1 == p.chunks) {
      split.back() = left;
      const auto found = score(p, split);
      if (found && (!best || std::tie(found->slowest, found->squares) <
                                 std::tie(best->slowest, best->squares))) {
        best = found;
      }
      return;
    }
    for (int n = 0; n <= left; ++n) {
      split[static_cast<std::size_t>(c)] = n;
      place(c + 1, left - n);
    }
  };
  place(0, static_cast<int>(p.layers.size()));
  return best;
}

TEST(BalancedPartition, IsTheBestOfAllSplits) {
  EXPECT_TRUE(rc::check([] {
    PartitionProblem p;
    // Whole times: sums are exact, so scores compare equal.
    const int layers = *rc::gen::inRange(1, 10);
    for (int k = 0; k < layers; ++k) p.layers.emplace_back(*rc::gen::inRange(1, 10));
    p.embedding = Seconds(*rc::gen::inRange(0, 8));
    p.head = Seconds(*rc::gen::inRange(0, 25));
    p.chunks = *rc::gen::inRange(1, 6);
    p.microbatches = *rc::gen::element(0, 1, 2, 8);
    if (*rc::gen::arbitrary<bool>()) {
      // Any table of what fits, monotone or not.
      const unsigned seed = *rc::gen::arbitrary<unsigned>();
      p.fits = [seed](int chunk, int first, int count) {
        return (seed * 2654435761u +
                static_cast<unsigned>(chunk * 131 + first * 17 + count * 7) * 40503u) %
                   5 !=
               0;
      };
    }
    const auto split = balanced_partition(p);
    const auto best = brute_force(p);
    RC_ASSERT(split.has_value() == best.has_value());
    if (!split) return;
    RC_ASSERT(std::accumulate(split->begin(), split->end(), 0) == layers);
    const auto mine = score(p, *split);
    RC_ASSERT(mine.has_value());
    RC_ASSERT(mine->slowest == best->slowest);
    RC_ASSERT(mine->squares == best->squares);
  }));
}

}  // namespace
}  // namespace meshplan::planner
