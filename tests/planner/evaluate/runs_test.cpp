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
  // Grouped products are fused from 26.06 on.
  EXPECT_GT(framework("bridge-149-26.04-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_EQ(framework("bridge-052-26.06-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
  EXPECT_EQ(framework("bridge-010-26.08-Qwen3", "NVIDIA", "nemo").grouped_low_precision, 1);
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
  EXPECT_DOUBLE_EQ(fork.framework.elementwise_passes, 1.4);
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

}  // namespace
}  // namespace meshplan::planner
