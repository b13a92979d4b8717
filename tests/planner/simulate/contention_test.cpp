#include "planner/simulate/contention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

TEST(MaxMinShares, AlonePlentyAndNothingCrossed) {
  EXPECT_EQ(max_min_shares(std::vector<FlowLinks>{{0, -1}, {-1, 2}, {-1, -1}}, 3),
            (std::vector{1.0, 1.0, 1.0}));
}

TEST(MaxMinShares, EqualPartsOfOneLink) {
  EXPECT_EQ(max_min_shares(std::vector<FlowLinks>(4, {0, -1}), 1),
            (std::vector{0.25, 0.25, 0.25, 0.25}));
}

// Link 0 carries flows a, b, c; link 1 carries c and d. Link 0 leaves 1/3 to each of its flows; d
// gets what c leaves of link 1.
TEST(MaxMinShares, WhoIsHeldElsewhereLeavesTheRest) {
  const auto shares = max_min_shares(std::vector<FlowLinks>{{0, -1}, {0, -1}, {0, 1}, {1, -1}}, 2);
  for (int flow = 0; flow < 3; ++flow) EXPECT_DOUBLE_EQ(shares[flow], 1.0 / 3);
  EXPECT_DOUBLE_EQ(shares[3], 2.0 / 3);
}

std::vector<FlowLinks> random_flows(std::mt19937& random, int flows, int links) {
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<FlowLinks> out(flows);
  for (FlowLinks& f : out) {
    f = {pick(links), pick(3) == 0 ? pick(links) : -1};
    if (f[1] == f[0]) f[1] = -1;
  }
  return out;
}

// The definition: no link carries more than it can, and every flow has a bottleneck, a full link on
// which no other flow gets more.
TEST(MaxMinShares, EveryFlowHasABottleneck) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const int links = 1 + static_cast<int>(random() % 6);
    const auto flows = random_flows(random, 1 + static_cast<int>(random() % 10), links);
    const auto shares = max_min_shares(flows, links);
    std::vector<double> load(links, 0), most(links, 0);
    for (std::size_t i = 0; i < flows.size(); ++i)
      for (const int link : flows[i])
        if (link >= 0) {
          load[link] += shares[i];
          most[link] = std::max(most[link], shares[i]);
        }
    for (const double sum : load) ASSERT_LE(sum, 1 + 1e-12);
    for (std::size_t i = 0; i < flows.size(); ++i)
      ASSERT_TRUE(std::any_of(flows[i].begin(), flows[i].end(),
                              [&](int link) {
                                return link >= 0 && load[link] > 1 - 1e-12 &&
                                       shares[i] > most[link] - 1e-12;
                              }))
          << "round " << round << ", flow " << i;
  }
}

TEST(SharedLinks, UndisturbedFlowTakesItsStatedTimeExactly) {
  SharedLinks links;
  links.reset(2, 2);
  links.start(0, Seconds{0.1}, Seconds{0.7}, {0, -1});
  links.start(1, Seconds{0.2}, Seconds{0.3}, {1, -1});
  EXPECT_EQ(links.next(), std::pair(Seconds{0.2} + Seconds{0.3}, 1));
  links.finish(1);
  EXPECT_EQ(links.next(), std::pair(Seconds{0.1} + Seconds{0.7}, 0));
  links.finish(0);
  EXPECT_EQ(links.next().second, -1);
}

// Work 4 from 0; work 1 from 2 on the same link. From 2 on both get a half: the second ends at 4;
// the first has 1 left then and ends at 5.
TEST(SharedLinks, TwoFlowsShare) {
  SharedLinks links;
  links.reset(1, 2);
  links.start(0, Seconds{0}, Seconds{4}, {0, -1});
  links.start(1, Seconds{2}, Seconds{1}, {0, -1});
  EXPECT_EQ(links.next(), std::pair(Seconds{4}, 1));
  links.finish(1);
  EXPECT_EQ(links.next(), std::pair(Seconds{5}, 0));
}

// Flow 0 crosses links 0 and 1 and ties flows 1 and 2 together; when it is done they are free of
// each other, and both must be found.
TEST(SharedLinks, AComponentThatFallsApart) {
  SharedLinks links;
  links.reset(2, 3);
  links.start(1, Seconds{0}, Seconds{5}, {0, -1});
  links.start(2, Seconds{0}, Seconds{6}, {1, -1});
  links.start(0, Seconds{0}, Seconds{1}, {0, 1});
  EXPECT_EQ(links.next(), std::pair(Seconds{2}, 0));  // all at one half
  links.finish(0);
  EXPECT_EQ(links.next(), std::pair(Seconds{6}, 1));  // 4 left at 2
  links.finish(1);
  EXPECT_EQ(links.next(), std::pair(Seconds{7}, 2));  // 5 left at 2
}

// The engine, which touches components only, against shares of everything at every change.
TEST(SharedLinks, SameEndsAsSharingEverythingAnew) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    const int links = 1 + static_cast<int>(random() % 5);
    const auto flows = random_flows(random, 1 + static_cast<int>(random() % 12), links);
    std::vector<double> begin, left, end(flows.size(), -1);
    for (std::size_t i = 0; i < flows.size(); ++i) {
      begin.push_back(static_cast<double>(random() % 1000) / 64);
      left.push_back(static_cast<double>(1 + random() % 1000) / 64);
    }
    const std::vector<double> work = left;

    // Oracle: small time steps from one change to the next over all flows.
    double now = 0;
    for (;;) {
      std::vector<FlowLinks> active;
      std::vector<std::size_t> who;
      double next = 1e30;
      for (std::size_t i = 0; i < flows.size(); ++i) {
        if (end[i] >= 0) continue;
        if (begin[i] > now) {
          next = std::min(next, begin[i]);
        } else {
          active.push_back(flows[i]);
          who.push_back(i);
        }
      }
      if (who.empty() && next == 1e30) break;
      const auto shares = max_min_shares(active, links);
      for (std::size_t k = 0; k < who.size(); ++k)
        next = std::min(next, now + left[who[k]] / shares[k]);
      for (std::size_t k = 0; k < who.size(); ++k) {
        left[who[k]] -= shares[k] * (next - now);
        if (left[who[k]] < 1e-9) end[who[k]] = next;
      }
      now = next;
    }

    SharedLinks engine;
    engine.reset(links, static_cast<int>(flows.size()));
    std::vector<std::size_t> order(flows.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return begin[a] < begin[b]; });
    std::size_t started = 0, finished = 0;
    while (finished < flows.size()) {
      const auto [time, flow] = engine.next();
      if (started < order.size() && (flow < 0 || begin[order[started]] < time.count())) {
        const std::size_t i = order[started++];
        engine.start(static_cast<int>(i), Seconds{begin[i]}, Seconds{work[i]}, flows[i]);
        continue;
      }
      ASSERT_NEAR(time.count(), end[flow], 1e-6) << "round " << round << ", flow " << flow;
      engine.finish(flow);
      ++finished;
    }
  }
}

}  // namespace
}  // namespace meshplan::planner
