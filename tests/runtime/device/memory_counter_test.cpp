#include "runtime/device/memory_counter.h"

#include <gtest/gtest.h>

namespace meshplan::runtime {
namespace {

using profiles::Bytes;

TEST(MemoryCounter, KeepsTheBreakdownAtTheGreatestTotal) {
  MemoryCounter counter;
  counter.take(Bytes{100}, MemoryTerm::Weights);
  counter.take(Bytes{50}, MemoryTerm::Activations);  // 150
  counter.give_back(Bytes{50}, MemoryTerm::Activations);
  counter.take(Bytes{30}, MemoryTerm::Workspace);
  counter.take(Bytes{40}, MemoryTerm::Activations);  // 170: the peak
  counter.give_back(Bytes{30}, MemoryTerm::Workspace);
  counter.take(Bytes{29}, MemoryTerm::Communication);  // 169

  EXPECT_EQ(counter.now().total(), Bytes{169});
  EXPECT_EQ(counter.peak().total(), Bytes{170});
  EXPECT_EQ(counter.peak()[MemoryTerm::Activations], Bytes{40});
  EXPECT_EQ(counter.peak()[MemoryTerm::Workspace], Bytes{30});
  EXPECT_EQ(counter.peak()[MemoryTerm::Communication], Bytes{0});
  // Terms on their own: activations were at 50 before.
  EXPECT_EQ(counter.term_peaks()[MemoryTerm::Activations], Bytes{50});
  EXPECT_EQ(counter.term_peaks()[MemoryTerm::Communication], Bytes{29});
}

TEST(MemoryCounter, ForgetsPeaksWhenAsked) {
  MemoryCounter counter;
  counter.take(Bytes{100}, MemoryTerm::Gradients);
  counter.give_back(Bytes{90}, MemoryTerm::Gradients);
  counter.restart_peak();
  EXPECT_EQ(counter.peak().total(), Bytes{10});
  counter.take(Bytes{5}, MemoryTerm::Optimizer);
  EXPECT_EQ(counter.peak().total(), Bytes{15});
  EXPECT_EQ(counter.term_peaks()[MemoryTerm::Gradients], Bytes{10});
}

}  // namespace
}  // namespace meshplan::runtime
