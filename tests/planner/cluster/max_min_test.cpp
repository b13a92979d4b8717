#include "planner/cluster/max_min.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace meshplan::planner {
namespace {

using profiles::BytesPerSecond;

TEST(MaxMinRates, SharesALinkEqually) {
  const auto rates = max_min_rates({{12}}, {{0}, {0}, {0}});
  EXPECT_DOUBLE_EQ(rates[0].rate, 4);
  EXPECT_DOUBLE_EQ(rates[2].rate, 4);
}

TEST(MaxMinRates, TheTextbookLine) {
  // Links of 10 and 4. Flow 0 uses both, 1 the first, 2 the second. The second link is shared by 0
  // and 2: 2 each; flow 1 gets what flow 0 leaves on the first, 8.
  const auto rates = max_min_rates({{10}, {4}}, {{0, 1}, {0}, {1}});
  EXPECT_DOUBLE_EQ(rates[0].rate, 2);
  EXPECT_DOUBLE_EQ(rates[1].rate, 8);
  EXPECT_DOUBLE_EQ(rates[2].rate, 2);
}

TEST(MaxMinRates, NoLinkIsOverfullAndEveryFlowHasAFullOne) {
  EXPECT_TRUE(rc::check([] {
    const int links = *rc::gen::inRange(1, 8);
    std::vector<BytesPerSecond> capacity;
    for (int i = 0; i < links; ++i) capacity.push_back({double(*rc::gen::inRange(1, 100))});
    std::vector<std::vector<int>> flows(*rc::gen::inRange(1, 12));
    for (auto& flow : flows) {  // a subset of the links, not empty
      const int subset = *rc::gen::inRange(1, 1 << links);
      for (int link = 0; link < links; ++link) {
        if ((subset >> link) % 2 == 1) flow.push_back(link);
      }
    }
    const auto rates = max_min_rates(capacity, flows);
    std::vector<double> load(capacity.size());
    for (std::size_t f = 0; f < flows.size(); ++f) {
      for (const int link : flows[f]) load[link] += rates[f].rate;
    }
    for (std::size_t i = 0; i < load.size(); ++i) RC_ASSERT(load[i] <= capacity[i].rate * 1.000001);
    for (std::size_t f = 0; f < flows.size(); ++f) {
      // Max-min: some link of the flow is full, and no flow on it is faster.
      RC_ASSERT(std::any_of(flows[f].begin(), flows[f].end(), [&](int link) {
        if (load[link] < capacity[link].rate * 0.999999) return false;
        for (std::size_t g = 0; g < flows.size(); ++g) {
          const bool shares = std::find(flows[g].begin(), flows[g].end(), link) != flows[g].end();
          if (shares && rates[g].rate > rates[f].rate * 1.000001) return false;
        }
        return true;
      }));
    }
  }));
}

}  // namespace
}  // namespace meshplan::planner
