// Every key that is written is one of the framework's, as transcribed in keys/<framework>.txt.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "planner/export/launch.h"
#include "tests/planner/export/export_problem.h"

namespace meshplan::planner {
namespace {

std::set<std::string> known_keys(const std::string& framework) {
  std::ifstream file(std::string(SOURCE_DIR) + "/tests/planner/export/keys/" + framework + ".txt");
  EXPECT_TRUE(file.is_open()) << framework;
  std::set<std::string> out;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.front() != '#') out.insert(line);
  }
  return out;
}

std::string version_line(const std::string& framework) {
  std::ifstream file(std::string(SOURCE_DIR) + "/tests/planner/export/keys/" + framework + ".txt");
  std::string line;
  std::getline(file, line);
  return line;
}

/// Layouts that together use every key of a framework's writer.
struct Example {
  const char* framework;
  const char* layout;
  void (*change)(Problem&) = nullptr;
};

void serve(Problem& p) { make_inference(p); }
void serve_fp8(Problem& p) {
  make_inference(p);
  p.workload.data_type = profiles::DataType::Fp8;
}
void serve_experts(Problem& p) {
  make_inference(p);
  give_experts(p);
}
void experts(Problem& p) {
  give_experts(p);
  p.model.experts->shared_width = 512;
  p.model.experts->first_dense_layers = 1;
  p.model.experts->router_bias = true;
}
void latent(Problem& p) {
  p.model.latent_attention = LatentAttention{1536, 512, 128, 64, 128};
  p.workload.data_type = profiles::DataType::Fp8;
}
void gpt(Problem& p) {
  p.model.model_type = "gpt2";
  p.model.kv_heads = 32;
  p.model.activation = Activation::SquaredRelu;
  p.model.normalization = Normalization::LayerNorm;
  p.model.position = PositionKind::Learned;
  p.model.qkv_bias = true;
  p.model.query_key_norm = true;
  p.model.head_dim = 64;
  p.model.sliding_window = 4096;
  p.workload.data_type = profiles::DataType::Fp16;
}
void by_sgd(Problem& p) { p.workload.optimizer = Optimizer::Sgd; }
/// gpt-oss: half of the layers windowed, a sink a head, biases of experts.
void gpt_oss(Problem& p) {
  give_experts(p);
  p.model.experts->bias = true;
  p.model.ffn = 0;
  p.model.qkv_bias = p.model.projection_bias = true;
  p.model.attention_sinks = true;
  p.model.sliding_window = 128;
  for (int layer = 1; layer < p.model.layers; layer += 2) {
    p.model.full_attention_layers.push_back(layer);
  }
}
void thirty_layers(Problem& p) { p.model.layers = 30; }

const std::vector<Example> kExamples = {
    {"megatron", "tp8,pp4,dp1,mbs1,vpp2,sp,recompute=full"},
    {"megatron", "tp8,pp4,dp1,mbs1,stages=9-8-8-7,overlap=grad"},
    {"megatron", "tp2,pp4,dp4,mbs1,sp,zero1,hsdp=2,overlap=grad+param+tp,order=tp-cp-pp-dp"},
    {"megatron", "tp2,pp1,dp8,mbs1,cp2,ep8,etp1,sp,recompute=selective,zero3", experts},
    {"megatron", "tp1,pp1,dp8,mbs1,zero1,offload=optimizer", latent},
    {"megatron", "tp1,pp2,dp8,mbs1,zero2", gpt},
    {"megatron", "tp1,pp4,dp8,mbs1", thirty_layers},
    {"megatron", "tp1,pp2,dp8,mbs1,ep8", gpt_oss},
    {"deepspeed", "tp2,pp4,dp1,mbs1,recompute=full"},
    {"deepspeed", "tp1,pp1,dp16,mbs1,zero3,hsdp=2,offload=optimizer"},
    {"deepspeed", "tp2,pp1,dp8,mbs1,zero2"},
    {"deepspeed", "tp1,pp1,dp8,mbs1,zero1,overlap=grad", gpt},
    {"deepspeed", "tp1,pp1,dp8,mbs1,zero1", by_sgd},
    {"torchtitan", "tp2,pp2,dp2,mbs1,cp2,sp,zero3,recompute=selective,overlap=grad+param+tp"},
    {"torchtitan", "tp2,pp1,dp4,mbs1,ep8,etp1,sp,zero3", give_experts},
    {"fsdp", "tp1,pp1,dp8,mbs1,zero3,hsdp=2,recompute=selective"},
    {"pipelining", "tp1,pp2,dp2,mbs1,overlap=grad,recompute=full,schedule=zb-v"},
    {"pipelining", "tp1,pp2,dp2,mbs1,zero3"},
    {"pipelining", "tp1,pp2,dp2,mbs1,overlap=grad,schedule=gpipe"},
    {"gpipe", "tp1,pp4,dp1,mbs1,schedule=gpipe"},
    {"dataparallel", "tp1,pp1,dp8,mbs1,recompute=full"},
    {"vllm", "tp8,pp2,dp1,stages=20-12", serve_fp8},
    {"vllm", "tp2,pp1,dp8,ep16,etp1,order=tp-cp-pp-dp", serve_experts},
    {"tensorrt-llm", "tp8,pp2,dp1,stages=20-12", serve_fp8},
    {"tensorrt-llm", "tp4,pp1,dp2,ep2,etp2", serve_experts},
    {"sglang", "tp8,pp2,dp1,stages=20-12", serve_fp8},
    {"sglang", "tp4,pp1,dp2,ep2,etp2", serve_experts},
    {"tgi", "tp4,pp1,dp2", serve},
    {"tgi", "tp4,pp1,dp1", serve_fp8},
};

TEST(LaunchKeys, AreTheFrameworksOwn) {
  std::set<std::string> seen;
  for (const Example& example : kExamples) {
    SCOPED_TRACE(std::string(example.framework) + " " + example.layout);
    Problem problem = export_problem();
    if (example.change != nullptr) example.change(problem);
    const TargetFramework& framework = shipped_rules().at(example.framework, "test");
    const Layout layout = layout_from_text(example.layout);
    FrameworkJudge judge(framework, problem);
    const auto broken = judge.broken_rules(layout);
    ASSERT_TRUE(broken.empty()) << broken.front().id;
    const std::string text = launch_text(framework, {problem, layout, {}});
    const std::set<std::string> known = known_keys(framework.name);
    const auto keys = launch_keys(framework, text, "test");
    EXPECT_FALSE(keys.empty());
    for (const std::string& key : keys) EXPECT_TRUE(known.contains(key)) << key;
    seen.insert(framework.name);
  }
  EXPECT_EQ(seen.size(), shipped_rules().all().size());
}

TEST(LaunchKeys, AreOfTheVersionThatTheRulesName) {
  for (const TargetFramework& framework : shipped_rules().all()) {
    const std::string line = version_line(framework.name);
    EXPECT_NE(line.find(framework.version), std::string::npos) << framework.name << ": " << line;
  }
}

}  // namespace
}  // namespace meshplan::planner
