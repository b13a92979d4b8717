// Every rule of every framework, both ways: a layout that the framework runs, and one that this
// rule alone refuses.
#include "planner/export/framework_rules.h"

#include <gtest/gtest.h>

#include <set>

#include "profiles/input_error.h"
#include "profiles/json_node.h"
#include "tests/planner/export/export_problem.h"

namespace meshplan::planner {
namespace {

using Change = void (*)(Problem&);

struct Case {
  const char* rule;
  const char* passes;
  const char* fails;
  Change both = nullptr;      ///< changes the problem of both
  Change fails_by = nullptr;  ///< changes the problem of the second
};

void odd_heads(Problem& p) { p.model.heads = 30; }  // 30 % 4 != 0, and 8 KV heads % 4 == 0
void odd_sequence(Problem& p) { p.workload.seq_len = 8190; }  // 8190 % 4 == 2
void tie(Problem& p) { p.model.tied_embeddings = true; }
void lion(Problem& p) { p.workload.optimizer = Optimizer::Lion; }
void sgd(Problem& p) { p.workload.optimizer = Optimizer::Sgd; }
void fp16(Problem& p) { p.workload.data_type = profiles::DataType::Fp16; }
void fp8(Problem& p) { p.workload.data_type = profiles::DataType::Fp8; }
void fp32(Problem& p) { p.workload.data_type = profiles::DataType::Fp32; }
void fp4(Problem& p) { p.workload.data_type = profiles::DataType::Fp4; }
void serve_fp8(Problem& p) { make_inference(p), fp8(p); }  // on H100, which has no 4-bit floats
void relu(Problem& p) { p.model.activation = Activation::Relu; }
void alibi(Problem& p) { p.model.position = PositionKind::Alibi; }
void parallel_residual(Problem& p) { p.model.parallel_residual = true; }
void six_kv_heads(Problem& p) { p.model.kv_heads = 6; }
void two_kv_heads(Problem& p) { p.model.kv_heads = 2; }
void fp16_experts(Problem& p) {
  give_experts(p);
  fp16(p);
}
void gate(Problem& p) { p.model.experts->shared_gate = true; }
void few_positions(Problem& p) { p.model.max_positions = 2048; }
void learned(Problem& p) { p.model.position = PositionKind::Learned; }
void post_norms(Problem& p) { p.model.post_norms = true; }
void wide_norms(Problem& p) { p.model.wide_query_key_norm = true; }
void layers_48(Problem& p) { p.model.layers = 48; }  // 48 % 12 == 0

// 32 heads, 8 KV heads, 32 layers, 8192 tokens, 256 sequences, nodes of 8; experts: 8.
const std::vector<Case> kCases = {
    {"megatron.workload", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, make_inference},
    {"megatron.nodes", "tp1,pp8,dp2", "tp1,pp12,dp1"},  // 12 % 8
    {"megatron.heads", "tp4,pp1,dp1", "tp4,pp1,dp1", nullptr, odd_heads},
    {"megatron.query_groups", "tp8,pp1,dp1", "tp16,pp1,dp1"},  // 8 % 16
    {"megatron.batch", "tp1,pp1,dp8", "tp1,pp1,dp8,mbs3"},     // 256 % 24
    {"megatron.schedule", "tp1,pp4,dp1", "tp1,pp4,dp1,schedule=gpipe"},
    {"megatron.interleaving", "tp1,pp2,dp1,vpp2", "tp1,pp1,dp1,vpp2"},
    {"megatron.microbatch_group", "tp1,pp4,dp8,mbs8,vpp2", "tp1,pp4,dp8,mbs16,vpp2"},  // 2 % 4
    {"megatron.context_sequence", "tp1,pp1,dp1,cp2", "tp1,pp1,dp1,cp3"},               // 8192 % 6
    {"megatron.sequence_parallel_split", "tp4,pp1,dp1,sp", "tp4,pp1,dp1,sp", nullptr, odd_sequence},
    {"megatron.experts", "tp1,pp1,dp8,ep8", "tp1,pp1,dp8,ep3", give_experts},
    {"megatron.moe_sequence_parallel", "tp2,pp1,dp1,sp", "tp2,pp1,dp1", give_experts},
    {"megatron.rank_order", "tp2,pp2,dp2,order=tp-cp-pp-dp", "tp2,pp2,dp2,order=dp-cp-tp-pp"},
    {"megatron.tp_pp_dp_mapping", "tp2,pp2,dp2,cp2", "tp2,pp2,dp2,cp2,order=tp-cp-pp-dp"},
    {"megatron.expert_precision", "tp1,pp1,dp8", "tp1,pp1,dp8,ep8", fp16_experts},
    {"megatron.shared_expert_gate", "tp1,pp1,dp8,ep8", "tp1,pp1,dp8,ep8", give_experts, gate},
    {"megatron.positions_learned", "tp1,pp1,dp1", "tp1,pp1,dp1", few_positions, learned},
    {"megatron.post_norms", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, post_norms},
    {"megatron.query_key_norm", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, wide_norms},
    {"megatron.fsdp_mapping", "tp2,pp2,dp2,zero1,order=tp-cp-pp-dp",
     "tp2,pp2,dp2,zero2,order=tp-cp-pp-dp"},
    {"megatron.optimizer", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, lion},
    {"megatron.precision", "tp1,pp1,dp1", "tp1,pp1,dp1", fp8, fp4},
    {"megatron.cpu_offload", "tp1,pp1,dp8,zero1,offload=optimizer",
     "tp1,pp1,dp8,offload=optimizer"},
    {"megatron.activation_offload", "tp1,pp1,dp1", "tp1,pp1,dp1,offload=activations"},
    {"megatron.activation", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, relu},
    {"megatron.position", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, alibi},
    {"megatron.parallel_residual", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, parallel_residual},

    {"deepspeed.workload", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, make_inference},
    {"deepspeed.nodes", "tp1,pp8,dp2", "tp1,pp12,dp1", nullptr, layers_48},
    {"deepspeed.zero_pipeline", "tp1,pp4,dp2,zero1", "tp1,pp4,dp2,zero2"},
    {"deepspeed.autotp_zero", "tp2,pp1,dp4,zero2,overlap=none", "tp2,pp1,dp4,zero3"},
    {"deepspeed.offload_optimizer", "tp1,pp1,dp8,zero1,offload=optimizer",
     "tp1,pp1,dp8,zero1,offload=optimizer", nullptr, sgd},
    {"deepspeed.batch", "tp1,pp1,dp8", "tp1,pp1,dp8,mbs3"},
    {"deepspeed.schedule", "tp1,pp4,dp1", "tp1,pp4,dp1,schedule=gpipe"},
    {"deepspeed.stages", "tp1,pp2,dp1,stages=16-16", "tp1,pp2,dp1,stages=15-17"},
    {"deepspeed.sequence_parallel", "tp2,pp1,dp1", "tp2,pp1,dp1,sp"},
    {"deepspeed.context", "tp1,pp1,dp2", "tp1,pp1,dp1,cp2"},
    {"deepspeed.experts", "tp1,pp1,dp8", "tp1,pp1,dp8,ep8", give_experts},
    {"deepspeed.overlap", "tp1,pp1,dp8,zero1,overlap=grad", "tp1,pp1,dp8,overlap=grad"},
    {"deepspeed.pipeline_overlap", "tp1,pp4,dp2,zero1", "tp1,pp4,dp2,zero1,overlap=grad"},
    {"deepspeed.recompute", "tp1,pp1,dp1,recompute=full", "tp1,pp1,dp1,recompute=selective"},
    {"deepspeed.hsdp", "tp1,pp1,dp8,zero3,hsdp=2", "tp1,pp1,dp8,zero1,hsdp=2"},
    {"deepspeed.offload", "tp1,pp1,dp8,zero1,offload=optimizer", "tp1,pp1,dp8,offload=activations"},
    {"deepspeed.rank_order", "tp2,pp2,dp2", "tp2,pp2,dp2,order=tp-cp-pp-dp"},
    {"deepspeed.precision", "tp1,pp1,dp1", "tp1,pp1,dp1", fp16, fp8},

    {"torchtitan.workload", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, make_inference},
    {"torchtitan.nodes", "tp1,pp8,dp1", "tp1,pp12,dp1"},
    {"torchtitan.heads", "tp4,pp1,dp1,sp", "tp4,pp1,dp1,sp", nullptr, odd_heads},
    {"torchtitan.kv_heads", "tp8,pp1,dp1,sp", "tp16,pp1,dp1,sp"},
    {"torchtitan.sequence_parallel", "tp4,pp1,dp1,sp", "tp4,pp1,dp1"},
    {"torchtitan.sequence", "tp4,pp1,dp1,sp", "tp4,pp1,dp1,sp", nullptr, odd_sequence},
    {"torchtitan.tied_pipeline", "tp1,pp4,dp1", "tp1,pp4,dp1", nullptr, tie},
    {"torchtitan.expert_tensor", "tp4,pp1,dp2,sp,zero3,ep8,etp1", "tp4,pp1,dp2,sp,zero3,ep4,etp2",
     give_experts},
    {"torchtitan.expert_shards", "tp1,pp1,dp8,zero3,ep8", "tp1,pp1,dp8,zero3,ep8,hsdp=2",
     give_experts},
    {"torchtitan.zero", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero1"},
    {"torchtitan.ddp", "tp1,pp1,dp8,overlap=grad", "tp1,pp2,dp4,overlap=grad"},
    {"torchtitan.context_sharded", "tp1,pp1,dp1,cp2,zero3", "tp1,pp1,dp1,cp2,overlap=grad"},
    {"torchtitan.hsdp", "tp1,pp1,dp8,zero3,hsdp=2", "tp1,pp1,dp8,zero3,hsdp=8"},
    {"torchtitan.overlap", "tp1,pp1,dp8,zero2,overlap=grad+param", "tp1,pp1,dp8,zero2"},
    {"torchtitan.context_kind", "tp1,pp1,dp1,cp2,zero3", "tp1,pp1,dp1,cp2,zero3,cp_kind=ulysses"},
    {"torchtitan.schedule", "tp1,pp4,dp1,schedule=zb-v", "tp1,pp4,dp1,schedule=zb-h1"},
    {"torchtitan.microbatches", "tp1,pp4,dp8,mbs8,zero3", "tp1,pp4,dp8,mbs16,zero3"},  // 2 < 4
    {"torchtitan.offload", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero3,offload=optimizer"},
    {"torchtitan.optimizer", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, sgd},
    {"torchtitan.precision", "tp1,pp1,dp1", "tp1,pp1,dp1", nullptr, fp16},
    {"torchtitan.rank_order", "tp2,pp2,dp2,sp,zero3", "tp2,pp2,dp2,sp,zero3,order=tp-cp-pp-dp"},

    {"fsdp.workload", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero3", nullptr, make_inference},
    {"fsdp.nodes", "tp1,pp1,dp16,zero3", "tp1,pp1,dp12,zero3"},
    {"fsdp.pipeline", "tp1,pp1,dp8,zero3", "tp1,pp2,dp4,zero3"},
    {"fsdp.tensor", "tp1,pp1,dp8,zero3", "tp2,pp1,dp4,zero3"},
    {"fsdp.context", "tp1,pp1,dp8,zero3", "tp1,pp1,dp4,cp2,zero3"},
    {"fsdp.experts", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero3,ep8", give_experts},
    {"fsdp.zero", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero1"},
    {"fsdp.overlap", "tp1,pp1,dp8,zero2,overlap=grad+param", "tp1,pp1,dp8,zero2"},
    {"fsdp.offload", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero3,offload=optimizer"},
    {"fsdp.precision", "tp1,pp1,dp8,zero3", "tp1,pp1,dp8,zero3", fp16, fp8},

    {"pipelining.workload", "tp1,pp4,dp1,schedule=gpipe", "tp1,pp4,dp1,schedule=gpipe", nullptr,
     make_inference},
    {"pipelining.nodes", "tp1,pp8,dp1", "tp1,pp12,dp1"},
    {"pipelining.pipeline", "tp1,pp2,dp4,overlap=grad", "tp1,pp1,dp8,overlap=grad"},
    {"pipelining.tensor", "tp1,pp2,dp1", "tp2,pp2,dp1"},
    {"pipelining.context", "tp1,pp2,dp1", "tp1,pp2,dp1,cp2"},
    {"pipelining.experts", "tp1,pp2,dp4,overlap=grad", "tp1,pp2,dp4,ep4,overlap=grad",
     give_experts},
    {"pipelining.microbatches", "tp1,pp4,dp8,mbs8,overlap=grad", "tp1,pp4,dp8,mbs16,overlap=grad"},
    {"pipelining.zero", "tp1,pp4,dp2,zero3", "tp1,pp4,dp2,zero1"},
    {"pipelining.overlap", "tp1,pp4,dp2,overlap=grad", "tp1,pp4,dp2"},
    {"pipelining.hsdp", "tp1,pp2,dp4,zero3", "tp1,pp2,dp4,zero3,hsdp=2"},
    {"pipelining.tied_embeddings", "tp1,pp4,dp1", "tp1,pp4,dp1", nullptr, tie},
    {"pipelining.offload", "tp1,pp4,dp1", "tp1,pp4,dp1,offload=activations"},
    {"pipelining.rank_order", "tp1,pp2,dp2,overlap=grad",
     "tp1,pp2,dp2,overlap=grad,order=tp-cp-pp-dp"},
    {"pipelining.precision", "tp1,pp4,dp1", "tp1,pp4,dp1", fp16, fp8},

    {"gpipe.workload", "tp1,pp4,dp1,schedule=gpipe", "tp1,pp4,dp1,schedule=gpipe", nullptr,
     make_inference},
    {"gpipe.one_process", "tp1,pp8,dp1,schedule=gpipe", "tp1,pp16,dp1,schedule=gpipe"},
    {"gpipe.tensor", "tp1,pp2,dp1,schedule=gpipe", "tp2,pp2,dp1,schedule=gpipe"},
    {"gpipe.data", "tp1,pp2,dp1,schedule=gpipe", "tp1,pp2,dp2,schedule=gpipe"},
    {"gpipe.context", "tp1,pp2,dp1,schedule=gpipe", "tp1,pp2,dp1,cp2,schedule=gpipe"},
    {"gpipe.experts", "tp1,pp2,dp1,schedule=gpipe", "tp1,pp2,dp1,ep2,schedule=gpipe", give_experts},
    {"gpipe.schedule", "tp1,pp1,dp1", "tp1,pp4,dp1"},
    {"gpipe.zero", "tp1,pp4,dp1,schedule=gpipe", "tp1,pp4,dp1,zero1,schedule=gpipe"},
    {"gpipe.tied_embeddings", "tp1,pp4,dp1,schedule=gpipe", "tp1,pp4,dp1,schedule=gpipe", nullptr,
     tie},
    {"gpipe.recompute", "tp1,pp4,dp1,recompute=full,schedule=gpipe",
     "tp1,pp4,dp1,recompute=selective,schedule=gpipe"},
    {"gpipe.offload", "tp1,pp1,dp1", "tp1,pp1,dp1,offload=optimizer"},

    {"dataparallel.workload", "tp1,pp1,dp8", "tp1,pp1,dp8", nullptr, make_inference},
    {"dataparallel.one_process", "tp1,pp1,dp8", "tp1,pp1,dp16"},
    {"dataparallel.pipeline", "tp1,pp1,dp2", "tp1,pp2,dp2"},
    {"dataparallel.tensor", "tp1,pp1,dp2", "tp2,pp1,dp2"},
    {"dataparallel.context", "tp1,pp1,dp2", "tp1,pp1,dp2,cp2"},
    {"dataparallel.experts", "tp1,pp1,dp8", "tp1,pp1,dp8,ep8", give_experts},
    {"dataparallel.zero", "tp1,pp1,dp8", "tp1,pp1,dp8,zero1"},
    {"dataparallel.overlap", "tp1,pp1,dp8", "tp1,pp1,dp8,overlap=grad"},
    {"dataparallel.offload", "tp1,pp1,dp8", "tp1,pp1,dp8,offload=optimizer"},

    {"vllm.workload", "tp8,pp1,dp1", "tp8,pp1,dp1", make_inference, make_training},
    {"vllm.nodes", "tp1,pp8,dp1", "tp1,pp12,dp1", make_inference, layers_48},
    {"vllm.heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, odd_heads},
    {"vllm.kv_heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, six_kv_heads},
    {"vllm.context", "tp2,pp1,dp1", "tp1,pp1,dp1,cp2", make_inference},
    {"vllm.sequence_parallel", "tp2,pp1,dp1", "tp2,pp1,dp1,sp", make_inference},
    {"vllm.experts", "tp2,pp1,dp2,ep4,etp1", "tp2,pp1,dp2,ep2",
     [](Problem& p) { make_inference(p), give_experts(p); }},
    {"vllm.stages", "tp1,pp2,dp1,stages=1-31", "tp1,pp2,dp1,stages=0-32", make_inference},
    {"vllm.rank_order", "tp2,pp2,dp2", "tp2,pp2,dp2,order=dp-cp-tp-pp", make_inference},

    {"tensorrt-llm.workload", "tp8,pp1,dp1", "tp8,pp1,dp1", make_inference, make_training},
    {"tensorrt-llm.nodes", "tp1,pp8,dp1", "tp1,pp12,dp1", make_inference, layers_48},
    {"tensorrt-llm.heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, odd_heads},
    {"tensorrt-llm.context", "tp2,pp1,dp1", "tp1,pp1,dp1,cp2", make_inference},
    {"tensorrt-llm.sequence_parallel", "tp2,pp1,dp1", "tp2,pp1,dp1,sp", make_inference},
    {"tensorrt-llm.experts", "tp4,pp1,dp1,ep2,etp2", "tp4,pp1,dp1,ep2",
     [](Problem& p) { make_inference(p), give_experts(p); }},
    {"tensorrt-llm.stages", "tp1,pp2,dp1,stages=1-31", "tp1,pp2,dp1,stages=0-32", make_inference},
    {"tensorrt-llm.precision", "tp1,pp1,dp1", "tp1,pp1,dp1", make_inference, fp32},
    {"tensorrt-llm.replicas", "tp4,pp1,dp2", "tp8,pp1,dp2", make_inference},
    {"tensorrt-llm.hardware", "tp2,pp1,dp1", "tp2,pp1,dp1", serve_fp8, fp4},
    {"tensorrt-llm.rank_order", "tp2,pp2,dp2", "tp2,pp2,dp2,order=dp-cp-tp-pp", make_inference},

    {"sglang.workload", "tp8,pp1,dp1", "tp8,pp1,dp1", make_inference, make_training},
    {"sglang.nodes", "tp1,pp8,dp1", "tp1,pp12,dp1", make_inference, layers_48},
    {"sglang.heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, odd_heads},
    {"sglang.kv_heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, six_kv_heads},
    {"sglang.context", "tp2,pp1,dp1", "tp1,pp1,dp1,cp2", make_inference},
    {"sglang.sequence_parallel", "tp2,pp1,dp1", "tp2,pp1,dp1,sp", make_inference},
    {"sglang.experts", "tp4,pp1,dp1,ep2,etp2", "tp4,pp1,dp1,ep2",
     [](Problem& p) { make_inference(p), give_experts(p); }},
    {"sglang.stages", "tp1,pp2,dp1,stages=1-31", "tp1,pp2,dp1,stages=0-32", make_inference},
    {"sglang.replicas", "tp4,pp1,dp2", "tp8,pp1,dp2", make_inference},
    {"sglang.hardware", "tp2,pp1,dp1", "tp2,pp1,dp1", serve_fp8, fp4},
    {"sglang.rank_order", "tp2,pp2,dp2", "tp2,pp2,dp2,order=dp-cp-tp-pp", make_inference},

    {"tgi.workload", "tp8,pp1,dp1", "tp8,pp1,dp1", make_inference, make_training},
    {"tgi.pipeline", "tp2,pp1,dp1", "tp2,pp2,dp1", make_inference},
    {"tgi.context", "tp2,pp1,dp1", "tp1,pp1,dp1,cp2", make_inference},
    {"tgi.sequence_parallel", "tp2,pp1,dp1", "tp2,pp1,dp1,sp", make_inference},
    {"tgi.heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, odd_heads},
    {"tgi.kv_heads", "tp4,pp1,dp1", "tp4,pp1,dp1", make_inference, two_kv_heads},
    {"tgi.experts", "tp2,pp1,dp1", "tp2,pp1,dp1,ep2",
     [](Problem& p) { make_inference(p), give_experts(p); }},
    {"tgi.precision", "tp1,pp1,dp1", "tp1,pp1,dp1", make_inference, fp4},
    {"tgi.one_node", "tp8,pp1,dp1", "tp8,pp1,dp2", make_inference},
    {"tgi.rank_order", "tp2,pp1,dp2", "tp2,pp1,dp2,order=dp-cp-tp-pp", make_inference},
};

std::vector<std::string> broken(const std::string& framework, const Problem& problem,
                                const char* layout) {
  FrameworkJudge judge(shipped_rules().at(framework, "test"), problem);
  const Layout parsed = layout_from_text(layout);
  std::vector<std::string> out;
  for (const BrokenRule& rule : judge.broken_rules(parsed)) out.push_back(rule.id);
  // The fast path of the search gives the first of them.
  const auto first = judge.broken_rule(parsed);
  EXPECT_EQ(first.has_value(), !out.empty()) << layout;
  if (first && !out.empty()) {
    EXPECT_EQ(*first, out.front()) << layout;
  }
  return out;
}

TEST(FrameworkRules, EachPassesOneLayoutAndAloneRefusesAnother) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.rule);
    const std::string rule = c.rule;
    const std::string framework = rule.substr(0, rule.find('.'));
    Problem problem = export_problem();
    if (c.both != nullptr) c.both(problem);
    EXPECT_EQ(broken(framework, problem, c.passes), std::vector<std::string>{}) << c.passes;
    if (c.fails_by != nullptr) c.fails_by(problem);
    EXPECT_EQ(broken(framework, problem, c.fails), std::vector<std::string>{rule}) << c.fails;
  }
}

TEST(FrameworkRules, NoneIsUntested) {
  std::set<std::string> tested;
  for (const Case& c : kCases) EXPECT_TRUE(tested.insert(c.rule).second) << c.rule << " twice";
  for (const TargetFramework& framework : shipped_rules().all()) {
    for (const FrameworkRule& rule : framework.rules) {
      EXPECT_EQ(tested.erase(rule.id), 1U) << rule.id;
      EXPECT_FALSE(rule.source.empty()) << rule.id;
    }
    EXPECT_FALSE(framework.version.empty()) << framework.name;
  }
  EXPECT_TRUE(tested.empty()) << *tested.begin();
}

TEST(FrameworkRules, MessagesCarryTheirNumbers) {
  const Problem problem = export_problem();
  FrameworkJudge judge(shipped_rules().at("deepspeed", "test"), problem);
  const auto all = judge.broken_rules(layout_from_text("tp1,pp4,dp2,mbs1,zero3"));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].what,
            "ZeRO-2 and ZeRO-3 are incompatible with pipeline parallelism (zero 3, pp 4)");
}

TEST(FrameworkRules, FindsNamesAndAliases) {
  EXPECT_EQ(shipped_rules().at("trtllm", "test").name, "tensorrt-llm");
  EXPECT_EQ(shipped_rules().at("torchgpipe", "test").name, "gpipe");
  try {
    (void)shipped_rules().at("megatorn", "--to");
    FAIL();
  } catch (const profiles::InputError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'megatron'"), std::string::npos);
  }
}

TEST(FrameworkRules, RefusesTablesThatMakeNoSense) {
  const auto table = [](const std::string& rule) {
    return R"({"schema": "meshplan.rules/1", "frameworks": [{"name": "x", "title": "X",
      "version": "1", "workload": "training", "rules": [)" +
           rule + "]}]}";
  };
  const auto read = [&](const std::string& rule) {
    FrameworkRules(profiles::JsonNode::parse(table(rule), "table"));
  };
  EXPECT_NO_THROW(read(R"({"id": "a", "condition": "tp == 1", "message": "{tp}", "source": "s"})"));
  // A number is no condition, unknown facts and keys are slips.
  for (const char* rule :
       {R"({"id": "a", "condition": "tp", "message": "m", "source": "s"})",
        R"({"id": "a", "condition": "t == 1", "message": "m", "source": "s"})",
        R"({"id": "a", "condition": "tp == 1", "message": "{t}", "source": "s"})",
        R"({"id": "a", "condition": "tp == 1", "message": "m", "sauce": "s"})",
        R"({"id": "a", "condition": "tp == 1", "message": "m"})"}) {
    EXPECT_THROW(read(rule), profiles::InputError) << rule;
  }
}

}  // namespace
}  // namespace meshplan::planner
