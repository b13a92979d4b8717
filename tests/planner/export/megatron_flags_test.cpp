#include "planner/export/megatron_flags.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

#include "planner/export/megatron_layout_string.h"
#include "planner/export/megatron_model.h"
#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "planner/model/parameters.h"
#include "profiles/input_error.h"
#include "profiles/json_node.h"

namespace meshplan::planner {
namespace {

FlagList flags(const std::string& text) { return read_flags(shell_words(text, "test")); }

std::string layout(const std::string& text_of_flags, int layers = 96, int world = 64) {
  return text(read_megatron_flags(flags(text_of_flags), layers, world, "test").layout);
}

TEST(MegatronFlags, AreALayout) {
  // 96 layers on 4 stages: 24 a stage, 2 a virtual stage: 12 chunks each; 64 / (8 * 4) = 2
  // replicas.
  EXPECT_EQ(layout("--tensor-model-parallel-size 8 --pipeline-model-parallel-size 4 "
                   "--num-layers-per-virtual-pipeline-stage 2 --sequence-parallel "
                   "--recompute-granularity selective --use-distributed-optimizer "
                   "--micro-batch-size 1 --global-batch-size 512 --seq-length 2048"),
            "tp8,pp4,dp2,mbs1,vpp12,sp,recompute=selective,zero1");
  EXPECT_EQ(layout(""), "tp1,pp1,dp64,mbs1");
  EXPECT_EQ(layout("--tensor-model-parallel-size=8 --sequence-parallel --tp-comm-overlap"),
            "tp8,pp1,dp8,mbs1,sp,overlap=grad+param+tp");
  // Silently off without tensor parallelism.
  EXPECT_EQ(layout("--sequence-parallel"), "tp1,pp1,dp64,mbs1");
  EXPECT_EQ(layout("--context-parallel-size 2 --cp-comm-type a2a"),
            "tp1,pp1,dp32,mbs1,cp2,cp_kind=ulysses");
  EXPECT_EQ(layout("--use-megatron-fsdp --data-parallel-sharding-strategy optim_grads_params"),
            "tp1,pp1,dp64,mbs1,zero3");
  EXPECT_EQ(layout("--recompute-granularity full --recompute-method uniform"),
            "tp1,pp1,dp64,mbs1,recompute=full");
  EXPECT_EQ(layout("--recompute-granularity full --recompute-method block "
                   "--recompute-num-layers 24 --pipeline-model-parallel-size 4"),
            "tp1,pp4,dp16,mbs1,recompute=full");
  EXPECT_EQ(layout("--pipeline-model-parallel-size 4 --use-tp-pp-dp-mapping"),
            "tp1,pp4,dp16,mbs1,order=tp-cp-pp-dp");
}

TEST(MegatronFlags, SplitLayersUnevenly) {
  // 94 + embedding + loss = 96: 24 a stage, the ends one short.
  EXPECT_EQ(layout("--pipeline-model-parallel-size 4 --account-for-embedding-in-pipeline-split "
                   "--account-for-loss-in-pipeline-split",
                   94),
            "tp1,pp4,dp16,mbs1,stages=23-24-24-23");
  // 96 - 20 = 76 on three stages is no whole number; 96 - 21 = 75 is 25 each.
  EXPECT_EQ(layout("--pipeline-model-parallel-size 4 --decoder-last-pipeline-num-layers 21"),
            "tp1,pp4,dp16,mbs1,stages=25-25-25-21");
  EXPECT_THROW(layout("--pipeline-model-parallel-size 4 --decoder-last-pipeline-num-layers 20"),
               profiles::InputError);
  // Two virtual stages each: halves, in the order of the model.
  EXPECT_EQ(layout("--pipeline-model-parallel-size 2 --decoder-first-pipeline-num-layers 40 "
                   "--num-virtual-stages-per-pipeline-rank 2"),
            "tp1,pp2,dp32,mbs1,vpp2,stages=20-28-20-28");
  EXPECT_EQ(layout("--pipeline-model-parallel-size 2 --pipeline-model-parallel-layout "
                   "'Et*20|(t*30|)*2,t*16L'"),
            "tp1,pp2,dp32,mbs1,vpp2,stages=20-30-30-16");
}

TEST(MegatronFlags, ContradictionsAreRefused) {
  for (const char* text :
       {"--num-layers-per-virtual-pipeline-stage 2 --num-virtual-stages-per-pipeline-rank 2",
        "--tensor-model-parallel-size 3",  // 64 % 3
        "--pipeline-model-parallel-size 64",
        "--bf16 --fp16",
        "--overlap-param-gather --overlap-grad-reduce",
        "--use-distributed-optimizer --overlap-param-gather",
        "--tp-comm-overlap",
        "--recompute-granularity selective --recompute-method uniform",
        "--recompute-granularity full",
        "--recompute-granularity all",
        "--recompute-granularity full --recompute-method block --recompute-num-layers 1",
        "--recompute-granularity selective --recompute-modules core_attn mlp",
        "--use-torch-fsdp2 --use-distributed-optimizer",
        "--data-parallel-sharding-strategy optim_grads",
        "--num-distributed-optimizer-instances 2",
        "--cp-comm-type ring",
        "--micro-batch-size",
        "--micro-batch-size 0",
        "--micro-batch-size 1 2",
        "--optimizer muon",
        "--pipeline-model-parallel-size 2 --num-virtual-stages-per-pipeline-rank 2 "
        "--microbatch-group-size-per-virtual-pipeline-stage 4",
        "--pipeline-model-parallel-layout 'Et*95L'",
        "--mtp-num-layers 1",
        "--pipeline-model-parallel-layout 'Et*96L' --account-for-loss-in-pipeline-split"}) {
    EXPECT_THROW(layout(text), profiles::InputError) << text;
  }
}

TEST(MegatronFlags, SayTheWorkloadAndListTheRest) {
  const MegatronRun run = read_megatron_flags(
      flags("--seq-length 2048 --global-batch-size 512 --bf16 --lr 1e-4 "
            "--use-flash-attn --num-layers 96 --train-iters 10 --optimizer sgd"),
      96, 8, "test");
  EXPECT_EQ(run.seq_len, 2048);
  EXPECT_EQ(run.global_batch, 512);
  EXPECT_EQ(run.data_type, profiles::DataType::Bf16);
  EXPECT_EQ(run.optimizer, Optimizer::Sgd);
  EXPECT_EQ(run.flash_attention, true);
  EXPECT_EQ(run.ignored, (std::vector<std::string>{"--lr", "--train-iters"}));
}

TEST(MegatronLayoutString, IsTheListOfItsStages) {
  EXPECT_EQ(megatron_layout_string({12, 13, 1, 0}), "Et*12|t*13|t|L");
  EXPECT_EQ(megatron_layout_stages("Ettt|(tt|)*3L", "test"), (std::vector<int>{3, 2, 2, 2, 0}));
  EXPECT_EQ(megatron_layout_stages("E|(t|)*2,t|L", "test"), (std::vector<int>{0, 1, 1, 1, 0}));
  for (const char* text : {"", "E", "tt|L", "Et|t", "E(t|*3L", "Et*|L", "E*t|L", "Et|m|L", "EtEL",
                           "Et*999999999L", "E((t|)*9999)*9999)*9999L"}) {
    EXPECT_THROW(megatron_layout_stages(text, "test"), profiles::InputError) << text;
  }
  EXPECT_TRUE(rc::check([](const std::vector<unsigned>& drawn) {
    std::vector<int> stages = {static_cast<int>(drawn.size())};
    for (const unsigned layers : drawn) stages.push_back(static_cast<int>(layers % 50));
    RC_ASSERT(megatron_layout_stages(megatron_layout_string(stages), "test") == stages);
  }));
}

Transformer model(const std::string& text_of_flags) {
  const auto config = megatron_model_config(flags(text_of_flags), "test");
  EXPECT_TRUE(config.has_value());
  return read_config(profiles::JsonNode::parse(config.value_or("{}"), "test"), "flags");
}

TEST(MegatronModel, IsGptByDefault) {
  const Transformer gpt = model(
      "--num-layers 96 --hidden-size 12288 --num-attention-heads 96 --seq-length 2048 "
      "--vocab-size 51200");
  EXPECT_EQ(gpt.model_type, "gpt2");
  EXPECT_EQ(gpt.ffn, 49152);  // 4 h
  EXPECT_TRUE(gpt.tied_embeddings);
  // 12 L h^2 (1 + 13 / 12h) + (V + s) h + final norm 2h, with V = 51200, s = 2048.
  const std::int64_t h = 12288;
  EXPECT_EQ(parameter_count(gpt), 96 * (12 * h * h + 13 * h) + (51200 + 2048) * h + 2 * h);
}

TEST(MegatronModel, IsLlamaByItsFlags) {
  const Transformer llama = model(
      "--num-layers 32 --hidden-size 4096 --ffn-hidden-size 14336 --num-attention-heads 32 "
      "--group-query-attention --num-query-groups 8 --swiglu --normalization RMSNorm "
      "--position-embedding-type rope --disable-bias-linear --vocab-size 128256 "
      "--untie-embeddings-and-output-weights");
  EXPECT_EQ(llama.model_type, "llama");
  EXPECT_EQ(parameter_count(llama), 8'030'261'248);  // Llama 3 8B, as published
}

TEST(MegatronModel, RefusesShapesThatNoFamilyHas) {
  const std::string shape = "--num-layers 2 --hidden-size 64 --num-attention-heads 4 ";
  for (const char* more :
       {"--swiglu", "--multi-latent-attention", "--squared-relu", "--normalization RMSNorm",
        "--group-query-attention --num-query-groups 2", "--tokenizer-type NullTokenizer",
        "--position-embedding-type none"}) {
    EXPECT_THROW(megatron_model_config(flags(shape + more), "test"), profiles::InputError) << more;
  }
  EXPECT_EQ(megatron_model_config(flags("--num-layers 2"), "test"), std::nullopt);
}

TEST(MegatronModel, MustBeTheModelOfThePlan) {
  Transformer given;
  given.name = "given";
  given.layers = 32;
  given.hidden = 4096;
  EXPECT_NO_THROW(require_megatron_model(flags("--num-layers 32"), given, "test"));
  EXPECT_THROW(require_megatron_model(flags("--num-layers 31"), given, "test"),
               profiles::InputError);
}

}  // namespace
}  // namespace meshplan::planner
