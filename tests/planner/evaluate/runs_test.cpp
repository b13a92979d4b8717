#include "planner/evaluate/runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::DataFiles;
using profiles::InputError;
using profiles::JsonNode;
using testing::HasSubstr;

std::vector<RecordedRun> runs_of(const std::string& run, const std::string& models = "{}") {
  return read_runs(JsonNode::parse(R"({"schema": "meshplan.runs/1", "clusters": {}, "models": )" +
                                       models + R"(, "runs": [)" + run + "]}",
                                   "runs.json"),
                   DataFiles());
}

const char* const kRun = R"({"id": "a", "model": "gpt2", "cluster": "dgx-h100:1",
  "workload": {"kind": "training", "seq_len": 1024, "global_batch": 8, "dtype": "bf16"},
  "layout": "tp1,pp1,dp8,mbs1,zero1",
  "options": {"framework": "megatron", "flash_attention": false, "overlap_grad_reduce": true},
  "measured": {"step_seconds": 0.5, "peak_memory_bytes": 7e9, "memory_kind": "allocated"}})";

TEST(ReadRuns, ResolvesPresetsAndOptions) {
  const auto runs = runs_of(kRun);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].refusal, std::nullopt);
  EXPECT_EQ(runs[0].problem.model.layers, 12);
  EXPECT_FALSE(runs[0].problem.uses_flash_attention());
  // On Hopper Megatron-LM is Megatron-Core, which overlaps gathers with what it overlaps at all.
  EXPECT_EQ(runs[0].problem.framework.name, "megatron-core");
  EXPECT_EQ(runs[0].layout->overlap, Overlap::GradParam);
  EXPECT_EQ(runs[0].memory_kind, MemoryKind::Allocated);
  EXPECT_DOUBLE_EQ(runs[0].step->count(), 0.5);
}

TEST(ReadRuns, AttentionIsUnfusedOnVolta) {
  std::string run = kRun;
  run.replace(run.find("\"flash_attention\": false, "), 26, "");
  run.replace(run.find("\"megatron\""), 10, "\"fsdp\"");
  EXPECT_TRUE(runs_of(run)[0].problem.uses_flash_attention());
  run.replace(run.find("dgx-h100:1"), 10, "v100-edr:1");
  EXPECT_FALSE(runs_of(run)[0].problem.uses_flash_attention());
}

TEST(ReadRuns, TheGenerationOfFlashAttentionIsTheSources) {
  std::string run = kRun;
  const std::size_t at = run.find("\"flash_attention\": false");
  EXPECT_FALSE(runs_of(run)[0].problem.framework.flash2);
  run.replace(at, 24, "\"flash_attention_version\": 2");
  EXPECT_TRUE(runs_of(run)[0].problem.framework.flash2);
  run.replace(run.find("\"megatron\""), 10, "\"fsdp\"");  // FlashAttention-2 by habit
  run.replace(run.find("version\": 2"), 11, "version\": 3");
  EXPECT_FALSE(runs_of(run)[0].problem.framework.flash2);
  run.replace(run.find("version\": 3"), 11, "version\": 4");
  EXPECT_THAT(runs_of(run)[0].refusal.value_or(""), HasSubstr("expected 2 or 3"));
}

TEST(ReadRuns, TokensASecondAndAccumulationGiveTheStep) {
  // 4 micro-batches of dp8 x mbs1: 32 sequences of 1,024 tokens; 65,536 tokens a second: 0.5 s.
  for (const char* rate :
       {"\"tokens_per_second\": 65536", "\"tokens_per_second_per_device\": 8192"}) {
    std::string run = kRun;
    run.replace(run.find("\"global_batch\": 8"), 17, "\"gradient_accumulation\": 4");
    run.replace(run.find("\"step_seconds\": 0.5"), 19, rate);
    const RecordedRun read = runs_of(run)[0];
    EXPECT_EQ(read.problem.workload.global_batch, 32);
    ASSERT_TRUE(read.step);
    EXPECT_DOUBLE_EQ(read.step->count(), 0.5) << rate;
  }
}

/// Published runs whose layouts strangers stated in their own words: none may be turned away.
TEST(ReadRuns, EveryPublishedRunCanBeRead) {
  const std::string folder = SOURCE_DIR "/tests/check/";
  for (const char* name : {"published-layouts.json", "never-fitted.json", "bigscience-2022.json"}) {
    const auto runs = read_runs(JsonNode::read_file(folder + name), DataFiles());
    EXPECT_GE(runs.size(), 34u) << name;
    for (const RecordedRun& run : runs) {
      EXPECT_EQ(run.refusal, std::nullopt) << name << ": " << run.id;
      EXPECT_TRUE(run.layout && run.step) << name << ": " << run.id;
      EXPECT_FALSE(run.source.empty()) << name << ": " << run.id;
    }
  }
}

TEST(ReadRuns, AnUnreadableRunKeepsItsReason) {
  std::string run = kRun;
  run.replace(run.find("gpt2"), 4, "gptx");
  EXPECT_THAT(*runs_of(run)[0].refusal, HasSubstr("'gptx'"));
}

TEST(ReadRuns, ReleasesAreToldByTheirSources) {
  const auto framework = [](const std::string& id, const std::string& source,
                            const std::string& name) {
    std::string run = kRun;
    run.replace(run.find("\"megatron\""), 10, '"' + name + '"');
    run.replace(run.find("dgx-h100:1"), 10, "dgx-a100-80gb:1");
    run.replace(run.find("\"id\": \"a\""), 9,
                R"("source": ")" + source + R"(", "id": ")" + id + '"');
    return runs_of(run)[0].problem.framework;
  };
  EXPECT_EQ(framework("a", "Narayanan et al. SC21 Table 1", "megatron").accumulation_bytes, 10);
  EXPECT_EQ(framework("a", "Korthikanti et al. 2022 text", "megatron").accumulation_bytes, 6);
  // The tool that vTrain's runs validate models fp16; BF16_Optimizer is of runs in bf16.
  EXPECT_EQ(framework("a", "vTrain (MICRO 2024)", "megatron-deepspeed").name, "megatron-deepspeed");
  EXPECT_EQ(framework("a", "BLOOM", "megatron-deepspeed").name, "megatron-deepspeed-bf16");
  // Grouped products are fused from 26.06 on.
  EXPECT_GT(framework("bridge-149-26.04-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_EQ(framework("bridge-052-26.06-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_EQ(framework("bridge-010-26.08-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_EQ(framework("bridge-7-26.06.01-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_GT(framework("bridge-1234-26.02.01-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_GT(framework("bridge-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_GT(framework("dgxc-grok1-fp8-128", "NVIDIA", "nemo").grouped_low_precision, 1);
}

/// A run of nanotron: `nodes` of 8 devices, its layout and what was measured.
RecordedRun nanotron_run(int nodes, const std::string& layout) {
  return runs_of(R"({"id": "a", "model": "llama-3-8b", "cluster": "aws-p5-h100:)" +
                 std::to_string(nodes) + R"(", "layout": ")" + layout + R"(",
    "workload": {"kind": "training", "seq_len": 4096, "global_batch": 256, "dtype": "bf16"},
    "options": {"framework": "nanotron"}, "measured": {"step_seconds": 1}})")[0];
}

TEST(ReadRuns, RunsThatWereNotRepeatedShowTheSoftwareBefore) {
  const auto stalls = [](int nodes, const char* layout) {
    return nanotron_run(nodes, layout).problem.framework.stalled_transfer.count() > 0;
  };
  EXPECT_FALSE(stalls(8, "tp4,pp4,dp4,mbs1,zero1"));
  EXPECT_FALSE(stalls(64, "tp4,pp1,dp128,mbs1,zero1")) << "no stages";
  EXPECT_TRUE(stalls(16, "tp32,pp2,dp2,mbs1,zero1"));
  EXPECT_TRUE(stalls(64, "tp4,pp2,dp64,mbs1,zero1"));
  // All else is as in the version since, which its file is based on.
  const profiles::Framework before = nanotron_run(64, "tp4,pp2,dp64,mbs1,zero1").problem.framework;
  const profiles::Framework since = nanotron_run(8, "tp4,pp2,dp8,mbs1,zero1").problem.framework;
  EXPECT_TRUE(before.known);
  EXPECT_EQ(before.accumulation_bytes, since.accumulation_bytes);
  EXPECT_EQ(before.kernel_launch, since.kernel_launch);
  EXPECT_NE(since.kernel_launch, profiles::load_framework("generic", DataFiles()).kernel_launch);
}

TEST(ReadRuns, RunsOfWhichNothingTellsTheVersionCarryBoth) {
  const auto before = [](int nodes, const char* layout) {
    const RecordedRun run = nanotron_run(nodes, layout);
    EXPECT_EQ(run.problem.framework.name, "nanotron") << layout;
    if (!run.other_version) return 0.0;
    EXPECT_EQ(run.other_version->framework.name, "nanotron-before-pp-fix");
    return run.other_version->probability;
  };
  // Without ZeRO the sweep's script repeats 32 replicas and more; one replica knows no ZeRO.
  EXPECT_EQ(before(8, "tp4,pp4,dp4,mbs1"), 1.0 / 3);
  EXPECT_EQ(before(8, "tp4,pp4,dp4,mbs1,zero1"), 0);
  EXPECT_EQ(before(8, "tp1,pp2,dp32,mbs1"), 0);
  EXPECT_EQ(before(8, "tp8,pp8,dp1,mbs1"), 0);
  EXPECT_EQ(before(32, "tp4,pp2,dp32,mbs1,zero1"), 9.0 / 11);
  EXPECT_EQ(before(16, "tp2,pp2,dp32,mbs1,zero1"), 0);
  // No transfer leaves its node, or there is none.
  EXPECT_EQ(before(1, "tp2,pp2,dp2,mbs1"), 0);
  EXPECT_EQ(before(8, "tp4,pp1,dp16,mbs1"), 0);
}

TEST(ReadRuns, TheForkOfThePaperOnZeroBubbleKeepsItsGradientsAtSixteenBits) {
  std::string run = kRun;
  run.replace(run.find("dgx-h100:1"), 10, "dgx-a100-80gb:1");
  EXPECT_EQ(runs_of(run)[0].problem.framework.name, "megatron");
  EXPECT_TRUE(runs_of(run)[0].problem.model.tied_embeddings);
  run.replace(run.find("\"id\""), 4, R"("source": "Zero Bubble PP, 2023", "id")");
  const Problem fork = runs_of(run)[0].problem;
  EXPECT_EQ(fork.framework.name, "zero-bubble");
  EXPECT_EQ(fork.framework.gradient_bytes, 2);
  EXPECT_FALSE(fork.model.tied_embeddings);
  // All else is Megatron-LM's.
  EXPECT_EQ(fork.framework.elementwise_passes,
            profiles::load_framework("megatron", DataFiles()).elementwise_passes);
}

TEST(ReadRuns, AFrameworkSaysWhatItsLogCallsMemory) {
  EXPECT_EQ(nanotron_run(1, "tp8,pp1,dp1,mbs1").memory_kind, MemoryKind::Reserved);
  std::string run = kRun;
  run.replace(run.find(R"(, "memory_kind": "allocated")"), 28, "");
  EXPECT_EQ(runs_of(run)[0].memory_kind, MemoryKind::Allocated);
  run.replace(run.find("megatron"), 8, "deepspeed");
  EXPECT_EQ(runs_of(run)[0].memory_kind, MemoryKind::Device);
}

TEST(ReadRuns, AFileOfAnotherKindIsRefused) {
  EXPECT_THROW(read_runs(JsonNode::parse(R"({"schema": "meshplan.plan/1"})", "x"), DataFiles()),
               InputError);
  EXPECT_THROW(runs_of(R"({"id": "a"})"), InputError);  // no measurement, no model
  EXPECT_THROW(runs_of(std::string(kRun).replace(std::string(kRun).find("0.5"), 3, "-1")),
               InputError);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(ReadRuns, UnknownSoftwareIsTakenForItsKind) {
  const RecordedRun plain = runs_of(replaced(kRun, "megatron", "heard-of-nowhere"))[0];
  EXPECT_FALSE(plain.framework_known);
  EXPECT_EQ(plain.problem.framework.name, "heard-of-nowhere");
  EXPECT_EQ(plain.problem.framework.weight_bytes, 2);
  EXPECT_THAT(plain.assumed, testing::Contains(HasSubstr("'unknown' for 'heard-of-nowhere'")));
  const RecordedRun sharded =
      runs_of(replaced(replaced(kRun, "megatron", "heard-of-nowhere"), "zero1", "zero3"))[0];
  EXPECT_FALSE(sharded.problem.framework.known) << "which widens the interval";
  EXPECT_EQ(sharded.problem.framework.master_bytes, 0) << "PyTorch's shards are the master copy";
  EXPECT_THAT(runs_of(kRun)[0].assumed, testing::IsEmpty());
}

TEST(ReadRuns, WhatServesHasAnEngineInstead) {
  const RecordedRun run = runs_of(R"({"id": "a", "model": "llama-3-8b", "cluster": "dgx-h100:1",
    "workload": {"kind": "inference", "prompt": 128, "output": 128, "batch": 1, "dtype": "bf16"},
    "layout": "tp1,pp1,dp1", "options": {"engine": "vllm"}, "measured": {"tpot_seconds": 1}})")[0];
  EXPECT_EQ(run.refusal, std::nullopt);
  EXPECT_THAT(run.assumed, testing::IsEmpty());
  EXPECT_EQ(run.problem.framework.name, "generic");
}

TEST(ReadRuns, ALlamaWasNotTrainedBySoftwareBeforeIt) {
  const auto framework = [](const char* model) {
    const std::string run = replaced(replaced(kRun, "gpt2", model), "dgx-h100", "dgx-a100-80gb");
    return runs_of(run)[0].problem.framework.name;
  };
  EXPECT_EQ(framework("gpt2"), "megatron");
  EXPECT_EQ(framework("llama-3-8b"), "megatron-core");
}

TEST(ReadRuns, TorchCompileIsAnOption) {
  const auto passes = [](const char* compiled) {
    const std::string run = replaced(kRun, "\"megatron\"", std::string("\"fsdp\"") + compiled);
    return runs_of(run)[0].problem.framework.elementwise_passes;
  };
  EXPECT_EQ(passes(", \"compiled\": true"), 1);
  EXPECT_EQ(passes(", \"compiled\": false"), passes(""));
  EXPECT_GT(passes(""), 1);
}

TEST(ReadRuns, SaysWhatItTookForGranted) {
  // 1,000,000 tokens are 976.6 sequences; 8 ranks with micro-batches of 2 take 976 or 992.
  std::string run = replaced(kRun, R"("seq_len": 1024, "global_batch": 8, "dtype": "bf16")",
                             R"("global_batch_tokens": 1000000, "dtype": "FP8 delayed")");
  run = replaced(run, "tp1,pp1,dp8,mbs1,zero1", "TP1, PP1, mbs2, zero1, recompute=block");
  const RecordedRun read = runs_of(run)[0];
  ASSERT_EQ(read.refusal, std::nullopt);
  EXPECT_EQ(read.problem.workload.data_type, profiles::DataType::Fp8);
  EXPECT_EQ(read.problem.workload.seq_len, 1024);
  EXPECT_EQ(read.problem.workload.global_batch, 976);
  EXPECT_EQ(text(*read.layout, true), "tp1,pp1,dp8,mbs2,recompute=full,zero1,overlap=grad+param");
  EXPECT_THAT(read.assumed,
              testing::ElementsAre("sequences of 1024: the model's longest", "dp8: what is left"));
}

TEST(ReadRuns, ABatchThatRanWasDividedSomehow) {
  // 8 sequences over 8 ranks with micro-batches of 3: 24 is the least that they divide.
  const std::string run = replaced(kRun, "mbs1", "mbs3");
  EXPECT_EQ(runs_of(run)[0].problem.workload.global_batch, 24);
  EXPECT_THAT(runs_of(run)[0].assumed, testing::Contains("24 sequences: dp x mbs divides them"));
  const std::string failed = replaced(run, R"("step_seconds": 0.5)", R"("outcome": "oom")");
  EXPECT_TRUE(runs_of(failed)[0].failed);
  EXPECT_EQ(runs_of(failed)[0].problem.workload.global_batch, 8) << "may be why it failed";
}

TEST(ReadRuns, WhatADeviceLacksRanInTheNextWiderFormat) {
  const auto type = [](const char* cluster, const char* dtype) {
    const std::string run = replaced(replaced(kRun, "dgx-h100", cluster), "bf16", dtype);
    return runs_of(run)[0].problem.workload.data_type;
  };
  EXPECT_EQ(type("dgx-h100", "nvfp4"), profiles::DataType::Fp8);
  EXPECT_EQ(type("dgx-b200", "nvfp4"), profiles::DataType::Fp4);
  EXPECT_EQ(type("dgx-a100-80gb", "fp8"), profiles::DataType::Bf16);
  EXPECT_EQ(type("v100-edr", "bf16"), profiles::DataType::Fp16);
  EXPECT_EQ(type("v100-edr", "fp32"), profiles::DataType::Fp32);
}

}  // namespace
}  // namespace meshplan::planner
