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

TEST(ReadRuns, AFileOfAnotherKindIsRefused) {
  EXPECT_THROW(read_runs(JsonNode::parse(R"({"schema": "meshplan.plan/1"})", "x"), DataFiles()),
               InputError);
  EXPECT_THROW(runs_of(R"({"id": "a"})"), InputError);  // no measurement, no model
  EXPECT_THROW(runs_of(std::string(kRun).replace(std::string(kRun).find("0.5"), 3, "-1")),
               InputError);
}

}  // namespace
}  // namespace meshplan::planner
