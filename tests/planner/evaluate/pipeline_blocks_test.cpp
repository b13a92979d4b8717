#include "planner/evaluate/pipeline_blocks.h"

#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

/// A layer of 4 h^2 + 3 h f = h (4 * 2 + 3 * 4) multiply-adds a token, that is 20 h; the head
/// counts like `head` layers.
Transformer model_of(int layers, int head) {
  Transformer model;
  model.layers = layers;
  model.hidden = 2;
  model.heads = model.kv_heads = 1;
  model.head_dim = 2;
  model.ffn = 4;
  model.activation = Activation::SwiGlu;
  model.vocab = 20 * head;
  return model;
}

TEST(BlocksByCost, AStageEndsWithTheLayerThatReachesItsShare) {
  // 6 layers and a head of 2: 4 each. The fourth layer reaches the share exactly.
  EXPECT_EQ(blocks_by_cost(model_of(6, 2), 2).layers, (std::vector<int>{4, 2}));
  // 7 layers and a head of 2: 3 each.
  EXPECT_EQ(blocks_by_cost(model_of(7, 2), 3).layers, (std::vector<int>{3, 3, 1}));
  // 8 layers and a head of 1: shares end at 2.25, 4.5, 6.75; the next whole layer reaches each.
  EXPECT_EQ(blocks_by_cost(model_of(8, 1), 4).layers, (std::vector<int>{3, 2, 2, 1}));
}

TEST(BlocksByCost, TheBlocksCanRunOutBeforeTheStages) {
  // 4 layers and a head of 4 over 8 stages: a layer each, then norm and head, cast, loss, nothing.
  EXPECT_TRUE(blocks_by_cost(model_of(4, 4), 8).empty_stage);
  EXPECT_FALSE(blocks_by_cost(model_of(4, 4), 6).empty_stage);
}

TEST(StartsByBlocks, WantsABlockForEveryStageAndMicrobatchesToFillThem) {
  Workload workload;
  workload.seq_len = 128;
  workload.global_batch = 8;
  const auto starts = [&](const char* layout) {
    return starts_by_blocks(model_of(4, 4), layout_from_text(layout), workload);
  };
  EXPECT_TRUE(starts("tp1,pp4,dp1,mbs1"));
  EXPECT_FALSE(starts("tp1,pp8,dp1,mbs1"));
  EXPECT_FALSE(starts("tp1,pp4,dp1,mbs4")) << "two micro-batches for four stages";
  EXPECT_TRUE(starts("tp1,pp1,dp1,mbs8"));
}

}  // namespace
}  // namespace meshplan::planner
