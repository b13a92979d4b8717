#include "planner/memory/model_states.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

using profiles::DataFiles;
using profiles::load_framework;

double bytes(const char* framework, int zero, int shards, Optimizer optimizer = Optimizer::Adam) {
  return state_bytes(load_framework(framework, DataFiles()), optimizer, zero, shards).sum();
}

TEST(StateBytes, MegatronKeeps18AndSixPlusTwelveOverD) {
  // bf16 weights 2 + fp32 gradients 4 + fp32 master 4 + two fp32 moments 8.
  EXPECT_DOUBLE_EQ(bytes("megatron", 0, 1), 18.0);
  for (const int d : {1, 2, 8, 64, 96}) {
    EXPECT_DOUBLE_EQ(bytes("megatron", 1, d), 6 + 12.0 / d) << d;
  }
}

TEST(StateBytes, ClassicZeroIsSixteen) {
  // Rajbhandari et al., SC 2020, figure 1 with K = 12: 16, 4 + 12/D, 2 + 14/D, 16/D.
  EXPECT_DOUBLE_EQ(bytes("deepspeed", 0, 64), 16.0);
  EXPECT_DOUBLE_EQ(bytes("deepspeed", 1, 64), 4 + 12.0 / 64);
  EXPECT_DOUBLE_EQ(bytes("deepspeed", 2, 64), 2 + 14.0 / 64);
  EXPECT_DOUBLE_EQ(bytes("deepspeed", 3, 64), 16.0 / 64);
}

TEST(StateBytes, FsdpShardsItsMasterWeights) {
  // fp32 parameters 4 + gradients 4 + moments 8, all over D; shard-grad-op keeps a bf16 copy.
  EXPECT_DOUBLE_EQ(bytes("composer", 3, 8), 16.0 / 8);
  EXPECT_DOUBLE_EQ(bytes("composer", 2, 8), 2 + 16.0 / 8);
  // Lion keeps one moment.
  EXPECT_DOUBLE_EQ(bytes("composer", 3, 8, Optimizer::Lion), 12.0 / 8);
}

TEST(StateBytes, NanotronKeepsASecondGradientThroughBackward) {
  EXPECT_DOUBLE_EQ(bytes("nanotron", 0, 1), 20.0);
  EXPECT_DOUBLE_EQ(bytes("nanotron", 1, 256), 8 + 12.0 / 256);
}

}  // namespace
}  // namespace meshplan::planner
