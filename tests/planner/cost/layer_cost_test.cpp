#include "planner/cost/layer_cost.h"

#include <gtest/gtest.h>

#include <utility>

#include "planner/cost/collective/collective_model.h"
#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "planner/model/model_graphs.h"
#include "profiles/cluster_load.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// One Llama layer on one H100, everything else as the argument says.
struct Question {
  Transformer model = load_model("llama-3-8b", profiles::DataFiles());
  Workload workload;
  profiles::Framework framework = profiles::load_framework("generic", profiles::DataFiles());
  profiles::Cluster cluster =
      profiles::load_cluster("dgx-h100:1", profiles::DataFiles(), profiles::ClusterTable{});
  profiles::DeviceProfile profile = profiles::load_profile(cluster.device, profiles::DataFiles());
  Question() {
    workload.seq_len = 4096;
    workload.global_batch = 1;
  }
  [[nodiscard]] BlockCompute compute(const char* layout = "tp1,pp1,dp1,mbs1") const {
    const ModelGraphs graphs = model_graphs(model, true, workload.data_type);
    const CostContext context{model, workload, framework, profile};
    return block_compute(graphs.dense_layer, context, layout_from_text(layout));
  }
};

TEST(Exposed, IsWhatSticksOutAndWhatItSlows) {
  // 3 s beside 2 s of compute: 1 s sticks out, 2 s are hidden and slow compute by 18.9 %.
  EXPECT_NEAR(exposed(Seconds{3}, Seconds{2}).count(), 1 + 0.189 * 2, 1e-12);
  EXPECT_NEAR(exposed(Seconds{1}, Seconds{2}).count(), 0.189, 1e-12);
  EXPECT_EQ(exposed(Seconds{0}, Seconds{2}), Seconds{0});
}

TEST(BlockCompute, AccumulationCostsItsBytesOnceAMicrobatch) {
  // A Llama-3-8B layer has 4096 (4096 + 2 * 1024) + 4096^2 + 3 * 4096 * 14336 = 218,103,808
  // weights in products; 4 bytes more for each, at no more than 3.35e12 bytes/s and no less than
  // half of that.
  Question less;
  Question more;
  less.framework.accumulation_bytes = 6;
  more.framework.accumulation_bytes = 10;
  const double extra = (more.compute().weight_grad - less.compute().weight_grad).count();
  const double floor = 4 * 218103808.0 / 3.35e12;
  EXPECT_GT(extra, floor);
  EXPECT_LT(extra, 2 * floor);
  EXPECT_EQ(more.compute().forward, less.compute().forward);
}

TEST(BlockCompute, AttentionStaysAtSixteenBits) {
  Question bf16;
  Question fp8;
  fp8.workload.data_type = profiles::DataType::Fp8;
  EXPECT_EQ(fp8.compute().core_attention, bf16.compute().core_attention);
  EXPECT_LT(fp8.compute().forward, bf16.compute().forward);
}

TEST(BlockCompute, GroupedProductsGainLessBelowSixteenBits) {
  // A layer of Mixtral: three products of each expert take twice as long in fp8, in each pass; the
  // factor touches neither bf16 nor a layer without experts.
  const auto forward = [](const char* model, profiles::DataType type, double factor) {
    Question q;
    q.model = load_model(model, profiles::DataFiles());
    q.workload.data_type = type;
    q.framework.grouped_low_precision = factor;
    const ModelGraphs graphs = model_graphs(q.model, true, type);
    const CostContext context{q.model, q.workload, q.framework, q.profile};
    const bool sparse = q.model.experts.has_value();
    const BlockCompute layer = block_compute(sparse ? graphs.sparse_layer : graphs.dense_layer,
                                             context, layout_from_text("tp1,pp1,dp1,mbs1"));
    return std::pair{layer.forward.count(), layer.products.count()};
  };
  using profiles::DataType;
  const auto [plain, products] = forward("mixtral-8x7b", DataType::Fp8, 1);
  const auto [slower, slower_products] = forward("mixtral-8x7b", DataType::Fp8, 2);
  // Nearly all of the products are the experts'.
  EXPECT_NEAR(slower - plain, slower_products - products, 1e-12);
  EXPECT_GT(slower_products, 1.7 * products);
  EXPECT_LT(slower_products, 2 * products);
  EXPECT_EQ(forward("mixtral-8x7b", DataType::Bf16, 2), forward("mixtral-8x7b", DataType::Bf16, 1));
  EXPECT_EQ(forward("llama-3-8b", DataType::Fp8, 2), forward("llama-3-8b", DataType::Fp8, 1));
}

TEST(BlockCompute, SlowerAttentionKernelsCostMore) {
  Question best;
  Question flash2;
  flash2.framework.flash2 = true;
  EXPECT_GT(flash2.compute().core_attention, best.compute().core_attention);
  Question slow;
  slow.framework.attention_slowdown = 1.5;
  EXPECT_NEAR(slow.compute().core_attention / best.compute().core_attention, 1.5, 1e-9);
}

TEST(BlockCost, TheHostShowsWhereItIsSlowerThanTheDevice) {
  // 10 forward operators of 2 launches at 1 ms take 20 ms; the device is done after 5.
  BlockCompute compute;
  compute.forward = Seconds{5e-3};
  compute.forward_kernels = 10;
  profiles::Framework framework;
  framework.kernels_per_operator = 2;
  framework.kernel_launch = Seconds{1e-3};
  const BlockCost cost = block_cost(compute, {}, layout_from_text("tp1,pp1,dp1,mbs1"), framework);
  EXPECT_NEAR(cost.forward.overhead.count(), 15e-3, 1e-12);
  EXPECT_NEAR(cost.forward.total().count(), 20e-3, 1e-12);
}

TEST(BlockCost, FullRecomputationRepeatsTheForwardWithItsCommunication) {
  BlockCompute compute;
  compute.forward = Seconds{2};
  BlockCommunication communication;
  communication.tp_forward = Seconds{1};
  const BlockCost cost =
      block_cost(compute, communication, layout_from_text("tp2,pp1,dp1,mbs1,recompute=full"), {});
  EXPECT_EQ(cost.recompute, cost.forward);
  EXPECT_NEAR(cost.recompute.total().count(), 3, 1e-12);
}

TEST(BlockCost, SelectiveRecomputationRepeatsWhatTheFrameworkDropped) {
  // 10 s forward: 2 of attention, 6 of products, 2 of element-wise work.
  BlockCompute compute;
  compute.forward = Seconds{10};
  compute.core_attention = Seconds{2};
  compute.products = Seconds{6};
  BlockCommunication communication;
  communication.tp_forward = Seconds{1};
  const Layout layout = layout_from_text("tp2,pp1,dp1,mbs1,sp,recompute=selective");
  profiles::Framework framework;
  EXPECT_EQ(block_cost(compute, communication, layout, framework).recompute.total(), Seconds{2});
  // Attention and half of the products kept: 3 + 2, and the gathers of its inputs.
  framework.selective_products = 0.5;
  EXPECT_NEAR(block_cost(compute, communication, layout, framework).recompute.total().count(), 5.5,
              1e-12);
}

TEST(BlockCost, OffloadedActivationsShowBeyondTheWorkBesideThem) {
  // 30 bytes at 10 bytes/s: 3 s, beside 2 s of forward and 1 + 3 s of backward.
  BlockCost block;
  block.forward.compute = Seconds{2};
  block.input_grad.compute = Seconds{1};
  block.weight_grad.compute = Seconds{3};
  const BlockCost cost = offloaded(block, profiles::Bytes{30}, {{10}, {1}});
  EXPECT_NEAR(cost.forward.overhead.count(), 1, 1e-12);
  EXPECT_EQ(cost.input_grad.overhead, Seconds{0});
  EXPECT_NEAR(offloaded(block, profiles::Bytes{70}, {{10}, {1}}).input_grad.overhead.count(), 3,
              1e-12);
}

TEST(BlockCost, RanksThatMeetWaitForTheLast) {
  BlockCost block;
  block.forward.compute = Seconds{2};
  block.forward.tp = Seconds{1};
  block.input_grad.compute = Seconds{1};
  block.weight_grad.compute = Seconds{3};
  const BlockCost cost = waiting(block, 0.1);
  EXPECT_NEAR(cost.forward.tp.count(), 1.2, 1e-12);
  EXPECT_NEAR(cost.input_grad.tp.count(), 0.4, 1e-12);
  EXPECT_EQ(cost.weight_grad, block.weight_grad);
}

TEST(BlockCost, AHostThatLaunchesSlowlyHoldsBothPassesBack) {
  // 9 s of host time: 3 beside 2 s of forward, 6 beside 5 s of backward.
  BlockCost block;
  block.forward.compute = Seconds{2};
  block.input_grad.ep = Seconds{4};
  block.weight_grad.compute = Seconds{1};
  const BlockCost cost = launched(block, Seconds{9});
  EXPECT_NEAR(cost.forward.overhead.count(), 1, 1e-12);
  EXPECT_NEAR(cost.input_grad.overhead.count(), 1, 1e-12);
  EXPECT_EQ(launched(block, Seconds{6}).forward, block.forward);
}

TEST(BlockCompute, WrittenOutNormsCostWhereTheModelHasThem) {
  Question fused;  // Llama's norms are RMSNorm
  Question written_out;
  written_out.framework.rms_norm_passes = 2.5;
  Question all;
  all.framework.elementwise_passes = 2.5;
  EXPECT_GT(written_out.compute().forward, fused.compute().forward);
  EXPECT_EQ(written_out.compute().forward, all.compute().forward);
  fused.model.normalization = written_out.model.normalization = Normalization::LayerNorm;
  EXPECT_EQ(written_out.compute().forward, fused.compute().forward);
}

TEST(BlockCompute, CastsCostTheirBytesBelowSixteenBits) {
  // 218,103,808 weights in products, half of their 10 bytes in the forward pass: see above.
  Question cached;
  Question each_time;
  each_time.framework.weight_cast_bytes = 10;
  EXPECT_EQ(each_time.compute().forward, cached.compute().forward) << "bf16 casts nothing";
  cached.workload.data_type = each_time.workload.data_type = profiles::DataType::Fp8;
  const double extra = (each_time.compute().forward - cached.compute().forward).count();
  const double floor = 5 * 218103808.0 / 3.35e12;
  EXPECT_GT(extra, floor);
  EXPECT_LT(extra, 2 * floor);
}

TEST(BlockCompute, EachBlockOfAContextIsMergedOnItsOwn) {
  Question fused;
  Question merged;
  merged.framework.context_step_bytes = 28;
  EXPECT_EQ(merged.compute().core_attention, fused.compute().core_attention) << "one block";
  // 4096 / 4 tokens of 32 heads of 128 features, 4 blocks, 28 bytes each.
  const char* const ring = "tp1,pp1,dp1,cp4,mbs1";
  const double extra =
      (merged.compute(ring).core_attention - fused.compute(ring).core_attention).count();
  const double floor = 4 * 1024 * 4096.0 * 28 / 3.35e12;
  EXPECT_GT(extra, floor);
  EXPECT_LT(extra, 2 * floor);
  const char* const ulysses = "tp1,pp1,dp1,cp4,mbs1,cp_kind=ulysses";
  EXPECT_EQ(merged.compute(ulysses).core_attention, fused.compute(ulysses).core_attention);
}

}  // namespace
}  // namespace meshplan::planner
