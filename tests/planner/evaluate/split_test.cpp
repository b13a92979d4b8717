#include "planner/evaluate/split.h"

#include <gtest/gtest.h>

#include <string>

namespace meshplan::planner {
namespace {

// Fixed once and for all: if one of these changes, what was held out was fitted on. Each side was
// computed from the definition (FNV-1a of source, zero byte, model; bit 32) by another program.
TEST(RunSplit, IsWhatItWas) {
  EXPECT_EQ(is_fitted("HF Ultra-Scale Playbook benchmarks (nanotron)", "llama-1B-16l-2048h-4096s"),
            true);
  EXPECT_EQ(is_fitted("HF Ultra-Scale Playbook benchmarks (nanotron)", "llama-8B-32l-4096h-4096s"),
            false);
  EXPECT_EQ(is_fitted("MosaicML llm-foundry MPT training benchmarks", "MPT-70b-80l-8192h-2048s"),
            true);
  EXPECT_EQ(is_fitted("", ""), true);
}

TEST(RunSplit, SeparatesSourceAndModel) {
  // "ab" + 0 + "c" and "a" + 0 + "bc" are different strings of the same letters.
  bool differs = false;
  for (char last = 'c'; last <= 'z'; ++last) {
    const std::string tail(1, last);
    differs = differs || is_fitted("ab", tail) != is_fitted("a", "b" + tail);
  }
  EXPECT_TRUE(differs);
}

TEST(CollectiveSplit, IsWhatItWas) {
  const auto fitted = [](const char* cluster, Collective operation, int ranks, int nodes) {
    MeasuredCollective row;
    row.cluster = cluster;
    row.operation = operation;
    row.ranks = ranks;
    row.nodes = nodes;
    return is_fitted(row);
  };
  EXPECT_FALSE(fitted("dgx-h100", Collective::AllReduce, 8, 1));
  EXPECT_TRUE(fitted("dgx-h100", Collective::AllToAll, 2, 1));
  EXPECT_TRUE(fitted("gcp-a3mega-h100", Collective::AllReduce, 16, 2));
  EXPECT_FALSE(fitted("gb200-nvl72", Collective::AllReduce, 144, 36));
}

TEST(Half, HoldsItsOwnSideOrBoth) {
  for (const bool fitted : {true, false}) {
    EXPECT_TRUE(holds(Half::Both, fitted));
    EXPECT_EQ(holds(Half::Fitted, fitted), fitted);
    EXPECT_EQ(holds(Half::Held, fitted), !fitted);
  }
}

}  // namespace
}  // namespace meshplan::planner
