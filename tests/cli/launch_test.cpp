// From a model to a launch file, and from flags to a prediction.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;

const std::string kQuestion =
    "--model gpt2 --cluster dgx-h100:1/4 --seq-len 1024 --global-batch 16 ";

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// plan.json of one layout in `folder`.
void predict(const ScratchFolder& folder, const std::string& layout) {
  const Outcome made =
      run_meshplan(words("predict " + kQuestion + "--layout " + layout + " --out plan.json"),
                   {.folder = folder.path()});
  ASSERT_EQ(made.code, 0) << made.err;
}

Outcome exported(const ScratchFolder& folder, const std::string& arguments) {
  return run_meshplan(words("export plan.json " + arguments), {.folder = folder.path()});
}

TEST(Export, WritesToStandardOutputOrAFile) {
  const ScratchFolder folder;
  predict(folder, "tp2,pp2,dp1,mbs1,sp");
  const Outcome shown = exported(folder, "--to megatron");
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_TRUE(holds(shown.out, "--tensor-model-parallel-size 2"));
  EXPECT_TRUE(holds(shown.out, "# layout: tp2,pp2,dp1,mbs1,sp\n"));
  EXPECT_TRUE(holds(shown.out, "# predicted: step "));
  const Outcome filed = exported(folder, "--to megatron --out launch.sh");
  EXPECT_EQ(filed.code, 0) << filed.err;
  EXPECT_EQ(filed.out, "");
  EXPECT_EQ(text_of(folder.path() / "launch.sh"), shown.out);
  EXPECT_EQ(folder.files(), (std::vector<std::string>{"launch.sh", "plan.json"}));
}

TEST(Export, RefusesWithRuleAndNearestPlan) {
  const ScratchFolder folder;
  predict(folder, "tp1,pp2,dp2,mbs1,zero2");
  const Outcome refused = exported(folder, "--to deepspeed --out ds.json");
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_TRUE(holds(refused.err, "[deepspeed.zero_pipeline] ZeRO-2 and ZeRO-3 are incompatible"))
      << refused.err;
  EXPECT_TRUE(holds(refused.err, "the nearest plan it can run is tp1,pp2,dp2,mbs1"));
  EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1);
  EXPECT_EQ(folder.files(), std::vector<std::string>{"plan.json"});
}

TEST(Export, BadUsageIsTwo) {
  const ScratchFolder folder;
  predict(folder, "tp1,pp1,dp4,mbs1");
  for (const char* arguments :
       {"", "--to megatorn", "--to megatron --plan 7", "--to megatron --plan x",
        "--to megatron --out no/such/folder/x.sh"}) {
    EXPECT_EQ(exported(folder, arguments).code, 2) << arguments;
  }
  EXPECT_TRUE(holds(exported(folder, "--to megatorn").err, "did you mean 'megatron'"));
  EXPECT_EQ(run_meshplan(words("export --to megatron")).code, 2);
  EXPECT_EQ(run_meshplan(words("export no_such_plan.json --to megatron")).code, 2);
}

TEST(Export, AdvisesAgainstOneProcess) {
  const ScratchFolder folder;
  predict(folder, "tp1,pp1,dp4,mbs1");
  const Outcome advised = exported(folder, "--to dataparallel");
  EXPECT_EQ(advised.code, 0);
  EXPECT_TRUE(holds(advised.err, "advice: nn.DataParallel is one process")) << advised.err;
  EXPECT_TRUE(holds(advised.out, "device_ids=[0, 1, 2, 3]"));
}

TEST(Export, ServesAPlanOfInference) {
  const ScratchFolder folder;
  predict(folder, "tp2,pp2,dp1,mbs1");
  json plan = json::parse(text_of(folder.path() / "plan.json"));
  plan["workload"] = {
      {"kind", "inference"}, {"prompt", 512}, {"output", 128}, {"dtype", "fp16"}, {"batch", 24}};
  plan["plans"][0]["layout"] = "tp2,pp2,dp1,stages=7-5";
  const std::string file = folder.file("serve.json", plan.dump());
  const Outcome vllm = run_meshplan({"export", file, "--to", "vllm"});
  EXPECT_EQ(vllm.code, 0) << vllm.err;
  EXPECT_TRUE(holds(vllm.out, "VLLM_PP_LAYER_PARTITION=7,5"));
  EXPECT_TRUE(holds(vllm.out, "--max-model-len 640"));  // 512 + 128
  EXPECT_TRUE(holds(vllm.out, "--max-num-seqs 24"));
  EXPECT_EQ(run_meshplan({"export", file, "--to", "tensorrt-llm"}).code, 0);
  const Outcome tgi = run_meshplan({"export", file, "--to", "tgi"});
  EXPECT_EQ(tgi.code, 1);
  EXPECT_TRUE(holds(tgi.err, "[tgi.pipeline]")) << tgi.err;
  EXPECT_EQ(run_meshplan({"export", file, "--to", "megatron"}).code, 1);
}

TEST(Export, TakesDemandAndHabitsFromAServingPlan) {
  const ScratchFolder folder;
  predict(folder, "tp2,pp2,dp1,mbs1");
  const json trained = json::parse(text_of(folder.path() / "plan.json"));
  const json plan = {{"layout", "tp2,pp1,dp2"}, {"fits", true}, {"demand", {{"concurrency", 10}}}};
  const json most = {
      {"layout", "tp1,pp2,dp2"}, {"fits", true}, {"demand", {{"concurrency", "max"}}}};
  const json serving = {
      {"schema", "meshplan.serving/1"},
      {"model", trained.at("model")},
      {"cluster", trained.at("cluster")},
      {"workload", {{"kind", "inference"}, {"prompt", 100}, {"output", 28}, {"dtype", "bf16"}}},
      {"engine", "vllm"},
      {"plans", {plan, most}}};
  const std::string file = folder.file("serving.json", serving.dump());
  const Outcome first = run_meshplan({"export", file, "--to", "vllm"});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_TRUE(holds(first.out, "--max-num-seqs 5 "));  // ten users over two replicas
  EXPECT_TRUE(holds(first.out, "--max-num-batched-tokens "));
  // As many as the engine takes; stages of a replica side by side.
  const Outcome second = run_meshplan({"export", file, "--to", "vllm", "--plan", "1"});
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_FALSE(holds(second.out, "--max-num-seqs 5 "));
  EXPECT_TRUE(holds(second.out, "--pipeline-parallel-size 2"));
  json broken = serving;
  broken["workload"]["dtype"] = "bf17";
  const std::string bad = folder.file("broken.json", broken.dump());
  EXPECT_EQ(run_meshplan({"export", bad, "--to", "vllm"}).code, 2);
}

TEST(PlanFor, KeepsTheRulesAndCountsThem) {
  const Outcome planned = run_meshplan(words("plan " + kQuestion + "--for fsdp --json --top 3"));
  ASSERT_EQ(planned.code, 0) << planned.err;
  const json document = json::parse(planned.out);
  for (const json& plan : document.at("plans")) {
    const auto layout = plan.at("layout").get<std::string>();
    EXPECT_TRUE(layout.starts_with("tp1,pp1,dp4,")) << layout;
    EXPECT_TRUE(holds(layout, "zero")) << layout;
  }
  EXPECT_TRUE(document.at("search").at("rejected").contains("fsdp.pipeline"));
  EXPECT_EQ(run_meshplan(words("plan " + kQuestion + "--for vllm")).code, 2);
  EXPECT_EQ(run_meshplan(words("plan " + kQuestion + "--for nothing")).code, 2);
}

TEST(PlanFor, AnEngineRunsAndTakesTheServingPlan) {
  const std::string question =
      "plan --inference --model llama-3.1-8b --cluster dgx-h100:1/2 --prompt 200 --output 20 "
      "--concurrency 8 ";
  for (const std::string engine : {"vllm", "tensorrt-llm", "sglang", "tgi"}) {
    SCOPED_TRACE(engine);
    const ScratchFolder folder;
    const Outcome planned =
        run_meshplan(words(question + "--for " + engine + " --json --out serve.json"),
                     {.folder = folder.path()});
    ASSERT_EQ(planned.code, 0) << planned.err;
    const json document = json::parse(planned.out);
    // Its habits; one that has no file of its own has generic ones.
    EXPECT_EQ(document.at("engine"), engine == "tgi" ? "generic" : engine);
    const bool stages = document.at("search").at("rejected").contains("tgi.pipeline");
    EXPECT_EQ(stages, engine == "tgi");
    EXPECT_EQ(document.at("plans").size(), engine == "tgi" ? 2U : 3U);
    const json& best = document.at("plans").at(0).at("prediction");
    for (const std::string value : {"ttft_seconds", "tpot_seconds", "tokens_per_second"}) {
      EXPECT_LT(best.at(value + "_low"), best.at(value)) << value;
      EXPECT_GT(best.at(value + "_high"), best.at(value)) << value;
    }
    EXPECT_LE(best.at("ttft_p50_seconds"), best.at("ttft_p99_seconds"));
    const Outcome exported =
        run_meshplan(words("export serve.json --to " + engine), {.folder = folder.path()});
    EXPECT_EQ(exported.code, 0) << exported.err;
  }
  EXPECT_EQ(run_meshplan(words(question + "--for megatron")).code, 2);
  EXPECT_EQ(run_meshplan(words(question + "--for vllm --engine sglang")).code, 0);
  EXPECT_EQ(run_meshplan(words(question + "--for vllm --max-ttft-ms p99=0.001")).code, 1);
  EXPECT_EQ(run_meshplan(words(question + "--max-ttft-ms p98=100")).code, 2);
  EXPECT_EQ(run_meshplan(words(question + "--max-ttft-ms p99=")).code, 2);
}

TEST(FromMegatron, IsTheLayoutItMeans) {
  const std::string flags =
      "--tensor-model-parallel-size 2 --sequence-parallel --use-distributed-optimizer "
      "--micro-batch-size 2 --global-batch-size 16 --seq-length 1024 --lr 1e-4";
  const Outcome read =
      run_meshplan(words("predict --model gpt2 --cluster dgx-h100:1/4 --json "
                         "--from-megatron '" +
                         flags + "'"));
  ASSERT_EQ(read.code, 0) << read.err;
  EXPECT_EQ(json::parse(read.out).at("plans").at(0).at("layout"), "tp2,pp1,dp2,mbs2,sp,zero1");
  EXPECT_TRUE(holds(read.err, "--lr"));
  // The same flags with a contradiction, another batch, or a layout beside them.
  for (const std::string& more :
       {std::string("--from-megatron '" + flags + " --tp-comm-overlap --overlap-param-gather'"),
        "--global-batch 8 --from-megatron '" + flags + "'",
        "--layout tp1,pp1,dp4 --from-megatron '" + flags + "'",
        "--from-megatron '" + flags + " --num-layers 13'", std::string("--from-megatron '8'")}) {
    EXPECT_EQ(run_meshplan(words("predict --model gpt2 --cluster dgx-h100:1/4 " + more)).code, 2)
        << more;
  }
}

TEST(FromMegatron, ReadsWhatExportWrites) {
  const ScratchFolder folder;
  predict(folder, "tp2,pp2,dp1,mbs1,sp,recompute=full");
  const std::string script = exported(folder, "--to megatron").out;
  const std::size_t begin = script.find("pretrain_gpt.py");
  ASSERT_NE(begin, std::string::npos);
  const std::string flags = script.substr(begin, script.find("\"$@\"") - begin);
  const Outcome read =
      run_meshplan({"predict", "--cluster", "dgx-h100:1/4", "--json", "--from-megatron", flags});
  ASSERT_EQ(read.code, 0) << read.err;
  const json document = json::parse(read.out);
  EXPECT_EQ(document.at("plans").at(0).at("layout"), "tp2,pp2,dp1,mbs1,sp,recompute=full");
  // The model comes back as well: GPT-2's 124 million parameters.
  EXPECT_EQ(document.at("model").at("parameters"), 124'439'808);
}

}  // namespace
