// Whatever is wrong with the input: exit code 2, one line on standard error that names the place,
// nothing on standard output, no file written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using testing::EndsWith;
using testing::HasSubstr;

const std::string kWorkload = " --seq-len 1024 --global-batch 8";

/// Runs `line` in a folder of its own and expects a refusal that says each of `says`.
class BadInput : public testing::Test {
 protected:
  void refused(const std::string& line, const std::vector<std::string>& says) {
    const auto before = folder_.files();
    const Outcome outcome = run_meshplan(words(line), {folder_.path()});
    EXPECT_EQ(outcome.code, 2) << line << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << line;
    EXPECT_THAT(outcome.err, EndsWith("\n")) << line;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& word : says) EXPECT_THAT(outcome.err, HasSubstr(word)) << line;
    EXPECT_EQ(folder_.files(), before) << line << " left a file";
  }

  /// A cluster file that differs from a good one in one line.
  std::string cluster(const std::string& line) {
    return folder_.file("cluster.json", R"({"schema": "meshplan.cluster/1", "name": "ours",
 "device": "h100-sxm-80gb", "nodes": 1, "devices_per_node": 8,
 "intra_node": {"kind": "nvswitch", "bytes_per_second_per_device": 450e9},
 )" + line + "}");
  }
  void cluster_refused(const std::string& line, const std::vector<std::string>& says) {
    refused("plan --model gpt2 --cluster " + cluster(line) + kWorkload, says);
  }

  const ScratchFolder folder_;
};

TEST_F(BadInput, CommandLine) {
  refused("", {"command line: expected a command", "found none"});
  refused("plam", {"command line: expected a command", "'plam'; did you mean 'plan'?"});
  refused("--jsn", {"command line: expected a known flag", "'--jsn'"});
  refused("plan --jsn", {"plan: expected a known flag (see 'meshplan plan --help')",
                         "'--jsn'; did you mean '--json'?"});
  refused("plan --top", {"--top: expected N, found nothing"});
  refused("plan --top 1 --top 2", {"--top: expected one N, found 2, '1' and '2'"});
  refused("check s.json", {"check: expected --baseline FILE", "found none"});
  refused("evaluate", {"evaluate: expected FILE", "found none"});
  refused("evaluate x --half a", {"--half: expected fitted or held, found 'a'"});
  refused("profile fti", {"profile: expected a command", "did you mean 'fit'?"});
  refused("profile fit", {"profile fit: expected TABLE.csv"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --sequence 1024", {"--sequence"});
  refused("plan --cluster dgx-h100:1" + kWorkload, {"--model"});
  refused("plan --model gpt2" + kWorkload, {"--cluster"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --global-batch 8", {"--seq-len"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --seq-len 1024", {"--global-batch"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --seq-len", {"--seq-len"});
  refused("predict --model gpt2 --cluster dgx-h100:1" + kWorkload, {"--layout"});
  refused("predict nowhere.json --layout tp1", {"predict: expected a plan file or --layout"});
  // What a plan file states is not changed in silence.
  for (const char* flag : {"--from-megatron x", "--model gpt2", "--cluster dgx-h200", "--seq-len 1",
                           "--global-batch 1", "--dtype fp8", "--optimizer sgd", "--framework nemo",
                           "--attention flash", "--optimizer-sync global", "--memory-margin 0.1"}) {
    const std::string name = words(flag).front();
    refused(std::string("predict nowhere.json ") + flag,
            {"predict: expected a plan file or " + name + ", found both"});
  }
  refused("predict --collective all_reduce --cluster dgx-h100:1", {"--bytes", "found nothing"});
  refused("predict --collective all_reduce --cluster dgx-h100:1 --bytes 1G --layout tp2",
          {"predict: expected --layout or --collective, found both"});
  refused("predict --layout tp2 --ranks 2", {"--ranks: expected --collective with it"});
  const std::string serving =
      "predict --inference --model gpt2 --cluster dgx-h100:1 --prompt 9 --output 9 --layout dp8";
  refused(serving + " --trace t.json", {"--trace: expected a training step, found --inference"});
  refused(serving + " --gantt", {"--gantt: expected a training step, found --inference"});
}

TEST_F(BadInput, Flags) {
  const std::string question = "plan --model gpt2 --cluster dgx-h100:1" + kWorkload;
  refused("plan --model gpt2 --cluster dgx-h100:1 --global-batch 8 --seq-len 0",
          {"--seq-len", "0"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --global-batch 8 --seq-len -5", {"--seq-len"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --global-batch 8 --seq-len 1e3", {"--seq-len"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --seq-len 1024 --global-batch 99999999999",
          {"--global-batch", "at most 2147483647"});
  refused(question + " --dtype bf17", {"--dtype", "bf17"});
  refused(question + " --optimizer adamw2", {"--optimizer", "adamw2"});
  refused(question + " --objective troughput", {"--objective", "did you mean 'throughput'"});
  refused(question + " --memory-margin 1", {"--memory-margin"});
  refused(question + " --memory-margin nan", {"--memory-margin", "nan"});
  refused(question + " --framework megatronn", {"megatronn", "did you mean 'megatron'"});
  refused(question + " --top 0", {"--top"});
  refused(question + " --distinct degree", {"--distinct", "did you mean 'degrees'"});
  refused(
      "plan --model gpt2 --cluster dgx-h100:1 --inference --prompt 9 --output 9 "
      "--distinct degrees",
      {"--inference", "--distinct, which is of training"});
  refused(question + " --fix tp2,tp4", {"--fix", "tp"});
  refused(question + " --profiles no-such-folder", {"no-such-folder"});
  // Flags of serving would do nothing here.
  refused(question + " --prompt 100", {"--prompt", "--inference"});
  refused(
      "plan --model gpt2 --cluster dgx-h100:1 --inference --prompt 9 --output 9 --fix tp2,zero1",
      {"--fix: expected tp, pp, dp, ep or etp with --inference, found 'zero'"});
  refused(question + " --engine vllm", {"--engine", "--inference"});
}

TEST_F(BadInput, UnknownPresetsNameTheNearest) {
  refused("plan --model lama-3-70b --cluster dgx-h100:1" + kWorkload,
          {"lama-3-70b", "did you mean 'llama-3-70b'"});
  refused("plan --model gpt2 --cluster dgx-h10:1" + kWorkload,
          {"dgx-h10", "did you mean 'dgx-h100'"});
  refused("list model", {"model", "did you mean 'models'"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --framework megatronn" + kWorkload,
          {"--framework: expected", "did you mean 'megatron'"});
  refused("plan --model lama --cluster dgx-h100:1" + kWorkload, {"--model: expected"});
  refused("plan --model gpt2 --cluster dgx-h10:1" + kWorkload, {"--cluster: expected"});
}

TEST_F(BadInput, ClusterSizes) {
  for (const char* cluster : {"dgx-h100:", "dgx-h100:0", "dgx-h100:-1", "dgx-h100:1.5",
                              "dgx-h100:1/9", "dgx-h100:1/0", "dgx-h100:99999999999"}) {
    refused("plan --model gpt2 --cluster " + std::string(cluster) + kWorkload, {"cluster"});
  }
}

TEST_F(BadInput, Settings) {
  const std::string question = "plan --model gpt2 --cluster dgx-h100:1" + kWorkload + " --set ";
  refused(question + "nodes", {"--set", "KEY=VALUE"});
  refused(question + "inter_node.bytes_per_second_per_nik=1e9",
          {"did you mean 'inter_node.bytes_per_second_per_nic'"});
  refused(question + "inter_node.bytes_per_second_per_nic=-1", {"-1"});
  refused(question + "nodes=0", {"--set nodes: expected a whole number", "found 0\n"});
  refused(question + "device=h10", {"--set device: expected", "did you mean 'h100'"});
  refused(question + "inter_node.bytes_per_second_per_nic=nan", {"nan"});
  refused(question + "inter_node.bytes_per_second_per_nic=fast", {"fast"});
}

TEST_F(BadInput, ClusterFiles) {
  cluster_refused(R"("nccl_version": "1.0")", {"nccl_version of ours", "'1.0'"});
  cluster_refused(R"("devices_per_nod": 8)", {"cluster.json", "did you mean 'devices_per_node'"});
  cluster_refused(R"("nvlink_domain_devices": "8")",
                  {"cluster.json#/nvlink_domain_devices", "\"8\""});
  cluster_refused(
      R"("inter_node": {"kind": "infinibend"})",
      {"cluster.json#/inter_node/kind", "found \"infinibend\"; did you mean 'infiniband'?\n"});
  cluster_refused(R"("inter_node": {"kind": "infiniband", "bytes_per_second_per_nic": -50e9})",
                  {"cluster.json#/inter_node/bytes_per_second_per_nic", "-5"});
  cluster_refused(R"("inter_node": {"kind": "infiniband", "bytes_per_second_per_nic": NaN})",
                  {"cluster.json", "line 4", "valid JSON"});
  cluster_refused(R"("inter_node": {"kind": "infiniband", "bytes_per_second_per_nic": 1e999})",
                  {"cluster.json"});
  cluster_refused(R"("inter_node": {"kind": "infiniband", "oversubscription": 0.5})",
                  {"cluster.json#/inter_node/oversubscription", "0.5"});
  cluster_refused(R"("nodes": 2)", {"cluster.json", "nodes", "twice"});
  cluster_refused(
      R"("devices": ["h100-sxm-80gb", "a100-sxm-80gb"])",
      {"cluster.json#/devices", "one kind of device", "h100-sxm-80gb", "a100-sxm-80gb"});
}

TEST_F(BadInput, OtherSchemasAndBrokenFiles) {
  const auto plan_on = [&](const std::string& text) {
    return "plan --model gpt2 --cluster " + folder_.file("c.json", text) + kWorkload;
  };
  refused(plan_on(R"({"schema": "meshplan.cluster/2", "device": "h100"})"),
          {"c.json#/schema", "meshplan.cluster/1", "meshplan.cluster/2"});
  refused(plan_on(R"({"schema": "meshplan.device/1", "id": "x"})"), {"c.json#/schema"});
  refused(plan_on(R"({"device": "h100"})"), {"c.json", "'schema'"});
  refused(plan_on(R"({"schema": "meshplan.cluster/1", "device": "h1)"), {"c.json", "line 1"});
  refused(plan_on(""), {"c.json"});
  refused(plan_on("[]"), {"c.json", "an object"});
  refused(plan_on(std::string(100'000, '[')), {"c.json", "64 levels"});
  refused("plan --model gpt2 --cluster nowhere.json" + kWorkload, {"nowhere.json"});
  refused("plan --model gpt2 --cluster ./" + kWorkload, {"./", "a directory"});
}

TEST_F(BadInput, ModelConfigs) {
  const auto plan_of = [&](const std::string& text) {
    return "plan --cluster dgx-h100:1 --model " + folder_.file("config.json", text) + kWorkload;
  };
  refused(plan_of(R"({"model_type": "llamas"})"), {"config.json#/model_type", "llamas", "llama"});
  refused(plan_of(R"({"hidden_size": 64})"), {"config.json", "'model_type'"});
  refused(plan_of(R"({"model_type": "llama", "hidden_size": 64})"), {"config.json", "the key"});
  refused(plan_of(R"({"model_type": "gpt2", "n_embd": 100, "n_head": 12, "n_layer": 2,
                      "vocab_size": 100, "n_positions": 64})"),
          {"config.json", "100"});
  refused(plan_of(R"({"model_type": "gpt2", "n_embd": "768"})"),
          {"config.json#/n_embd", "\"768\""});
  refused("plan --cluster dgx-h100:1 --model nowhere/config.json" + kWorkload,
          {"nowhere/config.json"});
}

TEST_F(BadInput, Layouts) {
  const auto predict = [](const std::string& layout) {
    return "predict --model gpt2 --cluster dgx-h100:1" + kWorkload + " --layout " + layout;
  };
  refused(predict("tp0,pp1,dp1"), {"--layout", "'tp'", "'0'"});
  refused(predict("tp2,tp2"), {"--layout", "tp"});
  refused(predict("tp2,pq2"), {"--layout", "pq2"});
  refused(predict("tp2,recompute=selectiv"), {"--layout", "selective", "'selectiv'"});
  refused(predict("tp2,pp1,dp1,mbs"), {"--layout", "mbs"});
  // GPT-2 has 12 heads and 12 layers.
  refused(predict("tp8,pp1,dp1,mbs1"), {"--layout", "12 heads", "tp 8"});
  refused(predict("tp1,pp1,dp3,mbs1"), {"8", "dp 3"});
  refused(predict("tp1,pp2,dp1,mbs1,stages=5-6"), {"12"});
}

TEST_F(BadInput, PlanFiles) {
  const auto predict = [&](const std::string& text) {
    return "predict " + folder_.file("plan.json", text);
  };
  refused(predict(R"({"schema": "meshplan.plan/2"})"),
          {"plan.json#/schema", "meshplan.plan/1", "meshplan.plan/2"});
  refused(predict(R"({"schema": "meshplan.plan/1"})"), {"plan.json", "'model'"});
  refused("predict nowhere.json", {"nowhere.json"});

  const Outcome good = run_meshplan(words(
      "predict --model gpt2 --cluster dgx-h100:1/2 --layout tp2,pp1,dp1,mbs1 --json" + kWorkload));
  ASSERT_EQ(good.code, 0) << good.err;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good.out;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return predict(text.replace(at, from.size(), to));
  };
  refused(with("\"global_batch\": 8", "\"global_batch\": 0"), {"plan.json#/workload/global_batch"});
  refused(with("tp2,pp1,dp1,mbs1", "tp2,pp1,dp1,mbs"), {"plan.json#/plans/0/layout"});
  refused(with("\"workload\"", "\"worklaod\""), {"did you mean 'workload'"});
  refused(predict(good.out.substr(0, good.out.size() / 2)), {"plan.json", "line"});
  refused("predict " + folder_.file("good.json", good.out) + " --plan 1", {"--plan"});
  refused("predict " + folder_.file("good.json", good.out) + " --plan -1",
          {"--plan: expected 0, the only plan of the file, found '-1'"});
  refused("export " + folder_.file("good.json", good.out) + " --to megatron --plan one",
          {"--plan: expected 0"});
}

TEST_F(BadInput, OutputThatCannotBeWritten) {
  const std::string question =
      "plan --model gpt2 --cluster dgx-h100:1/2" + kWorkload + " --top 1 --out ";
  refused(question + "missing/plan.json", {"missing"});
  refused(question + ".", {"."});
}

TEST_F(BadInput, AProfileThatCannotBeWrittenLeavesNoFolder) {
  const std::string file = folder_.file("file", "");
  refused("profile --brief --out " + file + "/below", {file, "a folder"});
}

TEST_F(BadInput, NothingToEvaluate) {
  const std::string table = folder_.file("gemm_h100.csv", "dtype,m,n,k,seconds\n");
  refused("evaluate " + table, {"gemm_h100.csv: expected rows, found none"});
  EXPECT_EQ(run_meshplan(words("evaluate --half held " + table)).code, 0);
  const std::string runs =
      folder_.file("runs.json", R"({"schema": "meshplan.runs/1", "runs": []})");
  refused("evaluate " + runs, {"runs.json: expected recorded runs, found none"});
}

TEST_F(BadInput, ATableNamesItsDevice) {
  const std::string table = folder_.file("gemm_h10.csv", "dtype,m,n,k,seconds\n");
  refused("evaluate " + table, {"gemm_h10.csv: expected a known device", "did you mean 'h100'"});
}

TEST_F(BadInput, BytesThatAreNoText) {
  refused("plan --model gpt\xff --cluster dgx-h100:1" + kWorkload, {"model"});
  refused("plan --model gpt2 --cluster dgx\xff:1" + kWorkload, {"cluster"});
  refused("plan --model gpt2 --cluster dgx-h100:1 --set intra_node.kind=\xff" + kWorkload,
          {"--set"});
}

}  // namespace
