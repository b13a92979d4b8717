// Every configuration that is written reads back as the layout it was written from.
#include "planner/export/launch.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <random>

#include "planner/export/canonical_layout.h"
#include "planner/layout/legality.h"
#include "profiles/input_error.h"
#include "tests/planner/export/export_problem.h"

namespace meshplan::planner {
namespace {

/// Draws layouts that often keep a framework's rules: options are mostly left at their defaults.
class AnyLayout {
 public:
  AnyLayout(const TargetFramework& framework, unsigned seed) : framework_(framework), draw_(seed) {
    problem_ = export_problem();
    problem_.model.layers = one_of({30, 32, 33});
    if (one_of({0, 0, 1}) == 1) give_experts(problem_);
    if (!framework.training) make_inference(problem_);
  }

  [[nodiscard]] const Problem& problem() const { return problem_; }

  /// None if thousands of draws all break a rule.
  std::optional<Layout> layout() {
    FrameworkJudge judge(framework_, problem_);
    for (int i = 0; i < 20'000; ++i) {
      const Layout drawn = normalised(any());
      if (drawn.devices() > problem_.cluster.devices()) continue;
      if (judge.broken_rule(drawn)) continue;
      if (broken_rule(drawn, problem_.model, problem_.workload, problem_.cluster.devices())) {
        continue;
      }
      return drawn;
    }
    return std::nullopt;
  }

 private:
  int one_of(std::vector<int> values) {
    return values[std::uniform_int_distribution<std::size_t>(0, values.size() - 1)(draw_)];
  }
  bool sometimes() { return one_of({0, 0, 1}) == 1; }

  Layout any() {
    Layout l;
    l.tp = one_of({1, 1, 2, 4, 8});
    l.pp = one_of({1, 1, 2, 4, 8});
    l.dp = one_of({1, 2, 4, 8});
    l.cp = one_of({1, 1, 1, 2});
    l.sp = one_of({0, 1}) == 1;
    if (sometimes() && problem_.model.experts) {
      l.ep = one_of({2, 4, 8});
      if (sometimes()) l.etp = 1;
    }
    if (sometimes()) l.order = {Axis::Tp, Axis::Cp, Axis::Pp, Axis::Dp};
    if (l.pp > 1 && sometimes()) draw_stages(l);
    if (!framework_.training) return l;
    l.mbs = one_of({1, 2, 4});
    l.recompute = static_cast<Recompute>(one_of({0, 1, 2}));
    l.zero = one_of({0, 1, 2, 3});
    if (sometimes()) l.hsdp = 2;
    l.overlap = static_cast<Overlap>(one_of({0, 1, 2, 3}));
    if (l.cp > 1) l.cp_kind = static_cast<ContextKind>(one_of({0, 1, 2}));
    if (sometimes()) l.offload = Offload::Optimizer;
    if (l.pp > 1) {
      l.schedule = static_cast<ScheduleKind>(one_of({0, 1, 1, 2, 3, 4, 5}));
      if (l.schedule == ScheduleKind::Interleaved) l.vpp = one_of({2, 3, 4});
      if (!l.stages.empty()) draw_stages(l);
    }
    return l;
  }

  /// Random stages, the ends perhaps empty.
  void draw_stages(Layout& l) {
    const int chunks = l.chunks();
    l.stages.assign(static_cast<std::size_t>(chunks), 1);
    l.stages.front() = one_of({0, 1});
    l.stages.back() = one_of({0, 1});
    int left = problem_.model.layers;
    for (const int layers : l.stages) left -= layers;
    for (; left > 0; --left) {
      ++l.stages[std::uniform_int_distribution<std::size_t>(0, l.stages.size() - 1)(draw_)];
    }
  }

  const TargetFramework& framework_;
  std::mt19937 draw_;
  Problem problem_;
};

TEST(Launch, ReadsBackWhatItWrites) {
  for (const TargetFramework& framework : shipped_rules().all()) {
    int written = 0;
    EXPECT_TRUE(rc::check("round trip of " + framework.name, [&](unsigned seed) {
      AnyLayout any(framework, seed);
      const auto layout = any.layout();
      if (!layout) return;
      ++written;
      const LaunchPlan plan{any.problem(), *layout, {"a note with 'quotes' and = signs (1, 2)"}};
      const std::string text = launch_text(framework, plan);
      const Layout back = layout_from_launch(framework, text, any.problem(), framework.name);
      // Engines put the stages of a replica side by side, whatever the order says of replicas.
      Layout meant = *layout;
      if (!framework.training) meant.order = {Axis::Tp, Axis::Cp, Axis::Pp, Axis::Dp};
      RC_ASSERT(canonical(back, any.problem().model) == canonical(meant, any.problem().model));
    })) << framework.name;
    EXPECT_GT(written, 50) << framework.name;
  }
}

TEST(Launch, CanonicalLayoutsMeanTheSame) {
  const Transformer model = llama_shape();
  const auto same = [&](const char* a, const char* b) {
    return canonical(layout_from_text(a), model) == canonical(layout_from_text(b), model);
  };
  EXPECT_TRUE(same("tp2,pp2,dp1", "tp2,pp2,dp1,order=tp-cp-pp-dp"));  // one replica: no dp axis
  EXPECT_FALSE(same("tp2,pp2,dp2", "tp2,pp2,dp2,order=tp-cp-pp-dp"));
  EXPECT_TRUE(same("tp1,pp2,dp1", "tp1,pp2,dp1,stages=16-16"));  // 32 layers
  EXPECT_FALSE(same("tp1,pp2,dp1", "tp1,pp2,dp1,stages=15-17"));
  EXPECT_TRUE(same("tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero3,overlap=grad"));
  EXPECT_FALSE(same("tp1,pp1,dp8,zero1", "tp1,pp1,dp8,zero1,overlap=grad"));
}

std::string written(const char* framework, const char* layout, void (*change)(Problem&) = nullptr) {
  Problem problem = export_problem();
  if (change != nullptr) change(problem);
  return launch_text(shipped_rules().at(framework, "test"),
                     {problem, layout_from_text(layout), {"note"}});
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Launch, MegatronStatesStagesInItsThreeWays) {
  // 32 layers on 4 stages: even, no flag.
  const std::string even = written("megatron", "tp8,pp4,dp1,mbs1,sp");
  EXPECT_FALSE(holds(even, "--pipeline-model-parallel-layout"));
  EXPECT_FALSE(holds(even, "--account-for"));
  // 30 + 2 on 4 stages: embedding and loss count as a layer each.
  const auto thirty = [](Problem& p) { p.model.layers = 30; };
  const std::string ends = written("megatron", "tp8,pp4,dp1,mbs1", thirty);
  EXPECT_TRUE(holds(ends, "--account-for-embedding-in-pipeline-split"));
  EXPECT_TRUE(holds(ends, "--account-for-loss-in-pipeline-split"));
  // Anything else: the layout string.
  const std::string uneven = written("megatron", "tp8,pp4,dp1,mbs1,stages=9-8-8-7");
  EXPECT_TRUE(holds(uneven, "--pipeline-model-parallel-layout 'Et*9|t*8|t*8|t*7L'"));
  EXPECT_TRUE(holds(written("megatron", "tp8,pp4,dp1,mbs1,vpp2"),
                    "--num-virtual-stages-per-pipeline-rank 2"));
}

TEST(Launch, MegatronLaunchesEveryNode) {
  // tp8,pp4 are 32 ranks on nodes of 8.
  const std::string text = written("megatron", "tp8,pp4,dp1,mbs1");
  EXPECT_TRUE(holds(text, "--nproc-per-node 8"));
  EXPECT_TRUE(holds(text, "--nnodes 4"));
  EXPECT_TRUE(holds(text, "# note"));
  EXPECT_TRUE(holds(text, "export CUDA_DEVICE_MAX_CONNECTIONS=1"));
  // Megatron-FSDP must not have it.
  EXPECT_TRUE(
      holds(written("megatron", "tp8,pp1,dp4,mbs1,zero3"), "unset CUDA_DEVICE_MAX_CONNECTIONS"));
}

TEST(Launch, MegatronDescribesTheModelForItsSequences) {
  // Rotary positions reach as far as the sequence, whatever config.json says.
  const auto short_context = [](Problem& p) {
    p.model.max_positions = 2048;
    p.model.rotary_base = 500000;
  };
  const std::string text = written("megatron", "tp1,pp1,dp1,mbs1", short_context);
  EXPECT_TRUE(holds(text, "--max-position-embeddings 8192"));
  EXPECT_TRUE(holds(text, "--rotary-base 500000"));
  // Every third layer sees all keys; a window counts the query, Megatron-LM's does not.
  const auto windows = [](Problem& p) {
    p.model.layers = 3;
    p.model.sliding_window = 128;
    p.model.full_attention_layers = {2};
  };
  const std::string windowed = written("megatron", "tp1,pp1,dp1,mbs1", windows);
  EXPECT_TRUE(holds(windowed, "--window-size 127,0"));
  EXPECT_TRUE(holds(windowed, "--window-attn-skip-freq '[1,1,0]'"));
  // Grouped kernels know bf16 only.
  const auto half = [](Problem& p) {
    give_experts(p);
    p.workload.data_type = profiles::DataType::Fp16;
  };
  EXPECT_TRUE(holds(written("megatron", "tp1,pp1,dp8,mbs1", give_experts), "--moe-grouped-gemm"));
  EXPECT_FALSE(holds(written("megatron", "tp1,pp1,dp8,mbs1", half), "--moe-grouped-gemm"));
}

TEST(Launch, DeepSpeedMultipliesItsBatch) {
  // 256 = 2 * 16 * 8.
  const std::string text = written("deepspeed", "tp1,pp1,dp8,mbs2,zero3");
  EXPECT_TRUE(holds(text, "\"train_batch_size\": 256"));
  EXPECT_TRUE(holds(text, "\"train_micro_batch_size_per_gpu\": 2"));
  EXPECT_TRUE(holds(text, "\"gradient_accumulation_steps\": 16"));
}

TEST(Launch, PipeliningCarriesItsOwnOrder) {
  const auto two = [](Problem& p) { p.workload.global_batch = 2; };
  // ZB-H1 on two stages, two micro-batches: the first stage runs ahead by one forward and delays
  // its weight gradients.
  const std::string text = written("pipelining", "tp1,pp2,dp1,mbs1,schedule=zb-h1", two);
  EXPECT_TRUE(holds(text, "\n0F0,0F1,0I0,0W0,0I1,0W1\n")) << text;
  EXPECT_FALSE(holds(written("pipelining", "tp1,pp2,dp1,mbs1"), "SCHEDULE_CSV"));
  EXPECT_TRUE(holds(written("pipelining", "tp1,pp2,dp1,mbs1"), "Schedule1F1B(stages[0]"));
}

TEST(Launch, GPipeCountsEmbeddingAndHead) {
  // 9 + embedding, 8, 8, 7 + head.
  EXPECT_TRUE(holds(written("gpipe", "tp1,pp4,dp1,mbs2,schedule=gpipe,stages=9-8-8-7"),
                    "balance=[10, 8, 8, 8]"));
}

TEST(Launch, EnginesStateUnevenStages) {
  EXPECT_TRUE(holds(written("vllm", "tp8,pp2,dp1,stages=20-12", make_inference),
                    "export VLLM_PP_LAYER_PARTITION=20,12"));
  const std::string tensorrt = written("tensorrt-llm", "tp8,pp2,dp1,stages=20-12", make_inference);
  EXPECT_TRUE(holds(tensorrt, "\"pp_partition\": ["));
}

TEST(Launch, ReplicasOfAnEngineHaveDevicesOfTheirOwn) {
  // Two replicas of four devices: 64 users are 32 each.
  const std::string text = written("tgi", "tp4,pp1,dp2", make_inference);
  EXPECT_TRUE(holds(text, "for replica in $(seq 0 1); do"));
  EXPECT_TRUE(holds(text, "first=$((replica * 4))"));
  EXPECT_TRUE(holds(text, "--max-concurrent-requests 32"));
  EXPECT_TRUE(holds(text, "--num-shard 4"));
  // And names of their own, under which the shards of one launcher meet.
  EXPECT_TRUE(holds(text, "--master-port \"$((PORT + 21500))\""));
  EXPECT_TRUE(holds(text, "--shard-uds-path"));
  EXPECT_FALSE(holds(written("tgi", "tp4,pp1,dp1", make_inference), "--master-port"));
}

TEST(Launch, RefusesTextThatIsNoneOfItsOwn) {
  const Problem problem = export_problem();
  for (const TargetFramework& framework : shipped_rules().all()) {
    for (const char* text : {"", "{}", "hello", "[parallelism]\n", "#!/bin/sh\nvllm 'open"}) {
      try {
        (void)layout_from_launch(framework, text, problem, framework.name);
      } catch (const profiles::InputError&) {
      }
    }
    EXPECT_THROW((void)layout_from_launch(framework, "", problem, "test"), profiles::InputError)
        << framework.name;
  }
}

}  // namespace
}  // namespace meshplan::planner
