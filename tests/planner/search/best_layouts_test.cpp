#include "planner/search/best_layouts.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

/// A candidate that `place` tells from others.
Candidate candidate(double step, std::int64_t peak, std::int64_t place) {
  return {Layout{}, Seconds{step}, Bytes{peak}, place, 1};
}

std::vector<std::int64_t> places(const BestLayouts& best) {
  std::vector<std::int64_t> out;
  for (const Candidate& c : best.best()) out.push_back(c.place);
  return out;
}

using Places = std::vector<std::int64_t>;

TEST(BestLayouts, KeepsTheBestOfEachKind) {
  BestLayouts best(3, Objective::Throughput);
  best.offer(1, candidate(5, 1, 10));
  best.offer(1, candidate(4, 1, 11));  // better
  best.offer(1, candidate(6, 1, 12));  // worse
  best.offer(2, candidate(5, 2, 20));
  EXPECT_EQ(places(best), (Places{11, 20}));
  EXPECT_FALSE(best.full());
  EXPECT_EQ(best.best_of(1)->place, 11);
  EXPECT_EQ(best.best_of(3), nullptr);
}

TEST(BestLayouts, TiesGoToTheFirstInPlace) {
  BestLayouts best(2, Objective::Throughput);
  best.offer(1, candidate(5, 1, 12));
  best.offer(1, candidate(5, 1, 10));  // the same figures, earlier
  best.offer(1, candidate(5, 1, 11));
  best.offer(2, candidate(5, 2, 5));  // as fast, another peak: another line
  EXPECT_EQ(places(best), (Places{5, 10}));
  EXPECT_EQ(best.best_of(1)->equivalent, 3);
  EXPECT_EQ(best.worst().place, 10);
}

TEST(BestLayouts, KindsOfEqualFiguresCountAsOne) {
  BestLayouts best(2, Objective::Throughput);
  best.offer(1, candidate(3, 1, 30));
  best.offer(2, candidate(3, 1, 20));
  best.offer(3, candidate(4, 1, 40));
  EXPECT_EQ(places(best), (Places{20, 40}));
  EXPECT_EQ(best.best().front().equivalent, 2);
}

TEST(BestLayouts, AKindThatWasBeyondMovesUpWhenTwoBecomeOne) {
  BestLayouts best(2, Objective::Throughput);
  best.offer(1, candidate(3, 1, 10));
  best.offer(2, candidate(5, 1, 20));
  best.offer(3, candidate(7, 1, 30));
  EXPECT_EQ(places(best), (Places{10, 20}));
  best.offer(2, candidate(3, 1, 21));  // now as kind 1
  EXPECT_EQ(places(best), (Places{10, 30}));
  EXPECT_EQ(best.worst().place, 30);
  best.offer(3, candidate(3, 1, 31));  // and kind 3 too: one line is left
  EXPECT_EQ(places(best), (Places{10}));
  EXPECT_FALSE(best.full());
}

TEST(BestLayouts, UnderTheMemoryObjectiveThePeakComesFirst) {
  BestLayouts best(2, Objective::Memory);
  best.offer(1, candidate(3, 9, 10));
  best.offer(1, candidate(8, 7, 11));
  best.offer(2, candidate(5, 7, 20));
  EXPECT_EQ(places(best), (Places{20, 11}));
}

}  // namespace
}  // namespace meshplan::planner
