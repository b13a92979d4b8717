#include "planner/memory/stage_memory.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/model/config.h"
#include "planner/model/model_graphs.h"
#include "planner/model/parameters.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

/// Memory of `layout` for a model and sequence length, without what libraries take.
std::vector<StageMemory> memory_of(const Transformer& model, const char* text, int seq_len,
                                   int global_batch, bool flash,
                                   const char* framework_name = "megatron") {
  const Layout layout = layout_from_text(text);
  Problem problem;
  Workload& workload = problem.workload;
  workload.seq_len = seq_len;
  workload.global_batch = global_batch;
  const profiles::Framework& framework = problem.framework =
      profiles::load_framework(framework_name, profiles::DataFiles());
  EXPECT_EQ(broken_rule(layout, model, workload, layout.devices()), std::nullopt);
  const ModelGraphs graphs =
      model_graphs(with_padded_vocabulary(model, layout.tp), flash, workload.data_type);
  const RankParameters parameters = rank_parameters(model, layer_split(layout));
  const ActivationBytes activations = activation_bytes(model, graphs, layout, workload, framework);
  std::vector<StageLoad> loads;
  stage_loads(model, layout, workload, stage_split(layout, model), parameters, activations, loads);
  std::vector<StageMemory> out;
  stage_memory(problem, layout, loads, parameters, activations, out);
  return out;
}

Transformer preset(const char* name) { return load_model(name, profiles::DataFiles()); }

TEST(StageMemory, OneDeviceHoldsEveryState) {
  const Transformer model = preset("gpt2");
  const auto stages = memory_of(model, "tp1,pp1,dp1,mbs1", 1024, 8, true);
  ASSERT_EQ(stages.size(), 1u);
  const std::int64_t parameters = parameter_count(model);
  EXPECT_EQ(stages[0].weights.count, 2 * parameters);
  EXPECT_EQ(stages[0].gradients.count, 4 * parameters);
  EXPECT_EQ(stages[0].optimizer.count, 12 * parameters);
}

TEST(StageMemory, TheDistributedOptimizerShardsTwelveBytes) {
  const Transformer model = preset("gpt2");
  const auto whole = memory_of(model, "tp1,pp1,dp8,mbs1", 1024, 8, true);
  const auto sharded = memory_of(model, "tp1,pp1,dp8,mbs1,zero1", 1024, 8, true);
  EXPECT_EQ(sharded[0].optimizer.count, whole[0].optimizer.count / 8);
  EXPECT_EQ(sharded[0].weights, whole[0].weights);
}

TEST(StageMemory, ActivationsFollowTheMicrobatchesInFlight) {
  // 96 layers over 8 stages, GPT with flash attention and dropout: 34 s b h / t bytes and 4 a s / t
  // of softmax statistics a layer under sequence parallelism; stage i keeps min(m, p - i) of them.
  const Transformer model = preset("gpt3-175b");
  const auto stages = memory_of(model, "tp8,pp8,dp1,mbs1,sp", 2048, 64, true);
  const double n = 2048;
  const double layer = n * (34.0 * 12288 + 4 * 96) / 8;
  // Stage 3 holds neither embedding nor head.
  EXPECT_NEAR(static_cast<double>(stages[3].activations.count), 12 * layer * (8 - 3),
              1e-3 * layer * 60);
}

TEST(StageMemory, ATiedHeadIsHeldTwiceUnderPipelining) {
  const Transformer model = preset("gpt2");
  const auto stages = memory_of(model, "tp1,pp2,dp1,mbs1", 1024, 8, true);
  // Both ends hold the 50257 x 768 table; 6 layers each.
  const std::int64_t table = std::int64_t{50257} * 768;
  const std::int64_t both = stages[0].weights.count + stages[1].weights.count;
  EXPECT_EQ(both, 2 * (parameter_count(model) + table));
}

TEST(StageMemory, ZeroBubblePaperPeaks) {
  // GPT 14.6B, p = 16, h = 5120, s = 1024, microbatch 1, no flash attention: 1F1B m = 4, 8, 16 took
  // 19, 24, 32 GB and ZB-H1 33, ZB-H2 51 (Qi et al. 2023, tables; 16 bytes a parameter there).
  Transformer model = preset("gpt2");
  model.layers = 46;
  model.hidden = 5120;
  model.embedding_width = 5120;
  model.heads = 40;
  model.kv_heads = 40;
  model.head_dim = 128;
  model.ffn = 20480;
  model.max_positions = 1024;
  const auto peak_gb = [&](const char* layout, int batch) {
    Bytes most{};
    for (const StageMemory& s : memory_of(model, layout, 1024, batch, false, "deepspeed")) {
      most = std::max(most, s.weights + s.gradients + s.optimizer + s.activations);
    }
    return static_cast<double>(most.count) * 1e-9;
  };
  EXPECT_NEAR(peak_gb("tp1,pp16,dp1,mbs1", 4), 19.5, 1.2);
  EXPECT_NEAR(peak_gb("tp1,pp16,dp1,mbs1", 8), 24.5, 1.2);
  EXPECT_NEAR(peak_gb("tp1,pp16,dp1,mbs1", 16), 32.5, 1.6);
  EXPECT_NEAR(peak_gb("tp1,pp16,dp1,mbs1,schedule=zb-h1", 48), 33.5, 1.7);
  EXPECT_NEAR(peak_gb("tp1,pp16,dp1,mbs1,schedule=zb-h2", 48), 51.5, 2.6);
}

TEST(StageMemory, MoreCuttingNeverTakesMore) {
  const Transformer model = preset("llama-3-8b");
  EXPECT_TRUE(rc::check([&] {
    const int tp = 1 << *rc::gen::inRange(0, 3);
    const int pp = 1 << *rc::gen::inRange(0, 4);
    const std::string base = "pp" + std::to_string(pp) + ",dp1,mbs1,recompute=" +
                             *rc::gen::element(std::string("none"), std::string("full"));
    const auto peak = [&](int degree, const char* more) {
      const std::string layout = "tp" + std::to_string(degree) + "," + base + more;
      Bytes most{};
      for (const auto& s : memory_of(model, layout.c_str(), 4096, 32, true)) {
        most = std::max(most, s.allocated());
      }
      return most;
    };
    RC_ASSERT(peak(2 * tp, "") <= peak(tp, ""));
    RC_ASSERT(peak(2 * tp, ",sp") <= peak(2 * tp, ""));
  }));
}

/// Llama 3 8B on two nodes of eight devices, under software whose collectives free 64 bytes late
/// for each token and hidden feature of a full launch queue.
Problem late_freeing() {
  Problem problem;
  problem.model = preset("llama-3-8b");
  problem.cluster.nodes = 2;
  problem.cluster.device.memory = Bytes{std::int64_t{800} << 30};
  problem.workload.seq_len = 4096;
  problem.workload.global_batch = 32;
  problem.framework = profiles::load_framework("generic", profiles::DataFiles());
  problem.framework.side_stream_bytes = 64;
  return problem;
}

/// The first stage, and what it would hold if nothing were freed late.
struct FirstStage {
  StageMemory memory, prompt;
  [[nodiscard]] std::int64_t late() const { return (memory.buffers - prompt.buffers).count; }
};
FirstStage first_stage(const Problem& problem, const char* text, LayerPace pace) {
  const Layout layout = layout_from_text(text);
  const ModelGraphs graphs = model_graphs(problem.model, true, problem.workload.data_type);
  ActivationBytes activations =
      activation_bytes(problem.model, graphs, layout, problem.workload, problem.framework);
  activations.pace = pace;
  const RankParameters parameters = rank_parameters(problem.model, layer_split(layout));
  std::vector<StageLoad> loads;
  stage_loads(problem.model, layout, problem.workload, stage_split(layout, problem.model),
              parameters, activations, loads);
  std::vector<StageMemory> out;
  FirstStage both;
  stage_memory(problem, layout, loads, parameters, activations, out);
  both.memory = out[0];
  activations.side_stream = {};
  stage_memory(problem, layout, loads, parameters, activations, out);
  both.prompt = out[0];
  return both;
}

constexpr LayerPace kDeviceBound{profiles::Seconds{2}, profiles::Seconds{1}};
constexpr LayerPace kHostBound{profiles::Seconds{1}, profiles::Seconds{2}};

TEST(StageMemory, BuffersFreedLateFollowHowFarTheHostRunsAhead) {
  const Problem problem = late_freeing();
  constexpr double whole = 64.0 * 4096 * 4096;
  const auto late = [&](const char* text, LayerPace pace) {
    return static_cast<double>(first_stage(problem, text, pace).late()) / whole;
  };
  EXPECT_EQ(late("tp2,pp2,dp1,mbs1", kDeviceBound), 0) << "nothing is gathered";
  // 32 layers fill a queue of 25; where the host is slower, half of it.
  EXPECT_NEAR(late("tp2,pp1,dp1,mbs1,sp", kDeviceBound), 1, 1e-6);
  EXPECT_NEAR(late("tp2,pp1,dp1,mbs1,sp", kHostBound), 0.5, 1e-6);
  // Two stages warm up with one forward pass of 16 layers, four with three of 8.
  EXPECT_NEAR(late("tp2,pp2,dp1,mbs1,sp", kDeviceBound), 16.0 / 25, 1e-6);
  EXPECT_NEAR(late("tp2,pp2,dp1,mbs1,sp", kHostBound), 0, 1e-6);
  EXPECT_NEAR(late("tp2,pp4,dp1,mbs1,sp", kHostBound), 24.0 / 25 * 2 / 3, 1e-6);
  EXPECT_NEAR(late("tp2,pp8,dp1,mbs1,sp", kHostBound), 1, 1e-6);
}

TEST(StageMemory, StalledTransfersKeepTheHostBack) {
  Problem problem = late_freeing();
  problem.framework.stalled_transfer = profiles::Seconds{0.3};
  EXPECT_GT(first_stage(problem, "tp2,pp4,dp1,mbs1,sp", kDeviceBound).late(), 0) << "one node";
  EXPECT_EQ(first_stage(problem, "tp2,pp4,dp2,mbs1,sp", kDeviceBound).late(), 0) << "two nodes";
}

TEST(StageMemory, WhatIsFreedLateNeverDecidesWhetherItFits) {
  // Room for half of what is freed late: the allocator takes it back, and says so.
  Problem problem = late_freeing();
  const FirstStage roomy = first_stage(problem, "tp2,pp1,dp1,mbs1,sp", kDeviceBound);
  EXPECT_FALSE(roomy.memory.retries);
  problem.cluster.device.memory = roomy.prompt.device() + Bytes{roomy.late() / 2};
  const FirstStage full = first_stage(problem, "tp2,pp1,dp1,mbs1,sp", kDeviceBound);
  EXPECT_TRUE(full.memory.retries);
  EXPECT_EQ(full.memory.device(), roomy.prompt.device());
}

TEST(StageMemory, OffloadedActivationsLeaveTwoLayersBehind) {
  const Transformer model = preset("gpt2");
  const auto kept = memory_of(model, "tp1,pp1,dp1,mbs8", 1024, 8, true);
  const auto away = memory_of(model, "tp1,pp1,dp1,mbs8,offload=activations", 1024, 8, true);
  // Of 12 layers 10 are gone; logits of 50,257 words outweigh two layers at the peak.
  const std::int64_t layer = (kept[0].activations - away[0].activations).count / 12;
  EXPECT_EQ(layer, INT64_C(8) * 1024 * (34 * 768 + 4 * 12));
  EXPECT_EQ(away[0].optimizer, kept[0].optimizer);
  const auto deeper =
      memory_of(model, "tp1,pp1,dp1,mbs8,offload=activations,recompute=full", 1024, 8, true);
  EXPECT_LE(deeper[0].allocated(), away[0].allocated());
}

TEST(StageMemory, CheckpointsByOperatorKeepAttentionAndHalfOfTheProducts) {
  // Llama-3-8B, s = 8192: input 2h, attention's output 2h and statistics 4a, half of the results of
  // qkv (2 + 4/4) h, projection 2h, gate and up 4 ffn, down 2h; 32 layers.
  const Transformer model = preset("llama-3-8b");
  const auto stages =
      memory_of(model, "tp1,pp1,dp1,mbs1,recompute=selective", 8192, 1, true, "torchtitan");
  const std::int64_t h = 4096;
  const std::int64_t token = 2 * h + 2 * h + 4 * 32 + (3 * h + 2 * h + 4 * 14336 + 2 * h) / 2;
  EXPECT_NEAR(static_cast<double>(stages[0].activations.count), 32.0 * 8192 * token,
              0.02 * 32 * 8192 * token);
}

TEST(StageMemory, GradientsThatWaitAreWhole) {
  // torchtitan's pipelines reduce in the last micro-batch: 4 bytes a parameter until then.
  const Transformer model = preset("gpt2");
  const auto of = [&](const char* layout, int batch) {
    const StageMemory stage = memory_of(model, layout, 1024, batch, true, "torchtitan")[1];
    return static_cast<double>(stage.gradients.count) / static_cast<double>(stage.weights.count);
  };
  // Weights are a quarter of 4 bytes and the gathered 2.
  EXPECT_NEAR(of("tp1,pp2,dp4,mbs1,zero2", 32), 4 / 3.0, 1e-3);
  EXPECT_NEAR(of("tp1,pp2,dp4,mbs1,zero2", 4), 1 / 3.0, 1e-3) << "one micro-batch waits for none";
}

TEST(StageMemory, GatheredInputsAreKeptWhereTheSoftwareKeepsThem) {
  // Two products of each of 32 layers gather 4096 features of 1024 tokens, 2 bytes each; a quarter
  // of it is counted as the shard.
  const Transformer model = preset("llama-3-8b");
  const auto saved = [&](const char* name) {
    return memory_of(model, "tp4,pp1,dp1,mbs1,sp", 1024, 1, true, name)[0].activations.count;
  };
  EXPECT_EQ(saved("torchtitan") - saved("fsdp"), std::int64_t{32} * 2 * 4096 * 1024 * 2 * 3 / 4);
}

}  // namespace
}  // namespace meshplan::planner
