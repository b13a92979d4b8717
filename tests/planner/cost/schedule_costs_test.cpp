#include "planner/cost/schedule_costs.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "planner/cost/price_book.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/stage_split.h"
#include "planner/predict.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;
using test::training_problem;

ScheduleCosts costs_of(const Problem& problem, const char* text) {
  const Layout layout = layout_from_text(text);
  PriceBook book(problem);
  return book.costs(layout, stage_split(layout, problem.model), placement(layout, problem.cluster));
}

Seconds sum(const std::vector<Seconds>& times) {
  return std::accumulate(times.begin(), times.end(), Seconds{0});
}

TEST(ChunkCosts, AddUpOverAnySplit) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  PriceBook book(problem);
  const Layout layout = layout_from_text("tp2,pp4,dp1,mbs1,sp");
  const BlockPrices blocks = book.prices(layout, placement(layout, problem.cluster));
  const auto total = [&](const std::vector<int>& split) {
    Seconds all{0};
    for (const ChunkCost& chunk : chunk_costs(problem.model, split, blocks)) {
      all += chunk.forward.total() + chunk.input_grad.total() + chunk.weight_grad.total();
    }
    return all.count();
  };
  EXPECT_NEAR(total({8, 8, 8, 8}), total({5, 9, 10, 8}), 1e-9);
  EXPECT_NEAR(total({8, 8, 8, 8}), total({0, 16, 16, 0}), 1e-9);
}

TEST(ScheduleCosts, ZeroOneReducesHalfAndGathersTheRest) {
  // An all-reduce is a reduce-scatter and an all-gather: ZeRO-1 reduces for less than ZeRO-0 and
  // has gathers to pay that ZeRO-0 has not.
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 32);
  const ScheduleCosts plain = costs_of(problem, "tp1,pp2,dp8,mbs1");
  const ScheduleCosts sharded = costs_of(problem, "tp1,pp2,dp8,mbs1,zero1");
  for (std::size_t c = 0; c < 2; ++c) {
    EXPECT_LT(sum(sharded.chunks[c].gradient_reduce), sum(plain.chunks[c].gradient_reduce));
    EXPECT_GT(sum(sharded.chunks[c].parameter_gather), Seconds{0});
    EXPECT_TRUE(plain.chunks[c].parameter_gather.empty());
  }
  EXPECT_LT(sharded.stages[0].optimizer, plain.stages[0].optimizer);
}

TEST(ScheduleCosts, SomeSoftwareAddsUpWholeGradientsThoughItShardsTheUpdate) {
  Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 32);
  const ScheduleCosts plain = costs_of(problem, "tp1,pp2,dp8,mbs1");
  problem.framework.reduces_whole = true;
  const ScheduleCosts whole = costs_of(problem, "tp1,pp2,dp8,mbs1,zero1");
  EXPECT_EQ(whole.chunks[0].gradient_reduce, plain.chunks[0].gradient_reduce);
  EXPECT_LT(whole.stages[0].optimizer, plain.stages[0].optimizer);
}

TEST(ScheduleCosts, TransfersThatAreNotPostedTogetherHoldBothEnds) {
  // 1F1B on three stages that wait for transfers: the middle one sends and receives an activation
  // and a gradient. Posted together, two transfers of T a micro-batch; one by one, four.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:3", 4096, 32);
  problem.framework.overlap_p2p = false;
  const auto middle = [&] {
    const ChunkCost chunk = costs_of(problem, "tp8,pp3,dp1,mbs1").chunks[1];
    return chunk.forward.pp + chunk.input_grad.pp;
  };
  const Seconds together = middle();
  EXPECT_GT(together, Seconds{0});
  problem.framework.single_p2p = true;
  EXPECT_DOUBLE_EQ(middle() / together, 2);
}

TEST(ScheduleCosts, OneReplicaReducesNothing) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  for (const ChunkCost& chunk : costs_of(problem, "tp2,pp4,dp1,mbs1").chunks) {
    EXPECT_TRUE(chunk.gradient_reduce.empty());
    EXPECT_EQ(chunk.forward.dp + chunk.weight_grad.dp, Seconds{0});
  }
}

TEST(ScheduleCosts, EndsThatShareATableExchangeItsGradients) {
  // A table of 50,257 words (padded to at least that) by 768 that both ends hold: an all-reduce of
  // two ranks sends and receives each of its 4 * 50,257 * 768 = 154 MB at no more than the 300 GB/s
  // a direction of an A100, so at least 0.5 ms; a table of their own takes only the norm.
  Problem problem = training_problem("gpt2", "dgx-a100-80gb:1/2", 1024, 8);
  ASSERT_TRUE(problem.model.tied_embeddings);
  const ScheduleCosts tied = costs_of(problem, "tp1,pp2,dp1,mbs1");
  const ScheduleCosts whole = costs_of(problem, "tp1,pp1,dp2,mbs1");
  problem.model.tied_embeddings = false;
  const ScheduleCosts untied = costs_of(problem, "tp1,pp2,dp1,mbs1");
  EXPECT_GT(tied.stages[0].sync - untied.stages[0].sync, Seconds{0.5e-3});
  EXPECT_EQ(tied.stages[0].sync, tied.stages[1].sync);  // the norm waits for both
  EXPECT_EQ(whole.stages[0].sync, untied.stages[0].sync);
}

TEST(ScheduleCosts, NothingIsHiddenWhereCollectivesRunOnTheRanksThread) {
  Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 32);
  EXPECT_TRUE(
      costs_of(problem, "tp1,pp2,dp8,mbs1,zero1,overlap=grad+param").overlap_gradient_reduce);
  problem.framework.collectives_beside_compute = false;
  const ScheduleCosts costs = costs_of(problem, "tp1,pp2,dp8,mbs1,zero1,overlap=grad+param");
  EXPECT_FALSE(costs.overlap_gradient_reduce);
  EXPECT_FALSE(costs.overlap_parameter_gather);
  problem.framework.tp_overlap_fraction = 0.5;
  EXPECT_EQ(costs_of(problem, "tp2,pp2,dp4,mbs1,sp,overlap=grad+param+tp").chunks[0].forward.tp,
            costs_of(problem, "tp2,pp2,dp4,mbs1,sp").chunks[0].forward.tp);
}

TEST(ScheduleCosts, HopsWithinANodeAreFaster) {
  const Problem problem = training_problem("gpt3-175b", "dgx-a100-80gb:2", 2048, 16);
  // Sixteen stages over two nodes: stage 7 sends to the other node.
  const ScheduleCosts costs = costs_of(problem, "tp1,pp16,dp1,mbs1");
  const auto hop = [&](std::size_t c) {
    return costs.hops_forward[c].latency + costs.hops_forward[c].transfer;
  };
  EXPECT_GT(hop(7), hop(6));
  EXPECT_EQ(hop(15), Seconds{0});  // the last chunk sends nowhere
}

TEST(Predict, TermsAddUpToTheStep) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 64);
  PriceBook book(problem);
  for (const char* text :
       {"tp1,pp1,dp16,mbs1,zero3", "tp2,pp4,dp2,mbs1,sp,zero1,overlap=grad+param",
        "tp8,pp2,dp1,mbs2,vpp4,sp", "tp1,pp8,dp2,mbs1,schedule=zb-h1", "tp4,pp1,dp2,mbs1,cp2"}) {
    const Prediction p = predict(book, layout_from_text(text)).prediction;
    EXPECT_NEAR(p.terms.sum().count(), p.step.count(), 1e-9 * p.step.count()) << text;
    EXPECT_LE(p.step_low, p.step) << text;
    EXPECT_GE(p.step_high, p.step) << text;
    EXPECT_NEAR(p.tokens_per_second, 4096 * 64 / p.step.count(), 1e-6 * p.tokens_per_second);
    EXPECT_GT(p.mfu, 0) << text;
    EXPECT_LT(p.mfu, 1) << text;
  }
}

Problem with_stalls(Problem problem) {
  problem.framework.stalled_transfer = Seconds{0.25};
  return problem;
}

/// What each chunk's forward, and its backward with the recomputation, wait more with stalls.
std::vector<Seconds> stalls_of(const Problem& problem, const char* text) {
  const ScheduleCosts calm = costs_of(problem, text);
  const ScheduleCosts stalled = costs_of(with_stalls(problem), text);
  std::vector<Seconds> out;
  for (std::size_t c = 0; c < calm.chunks.size(); ++c) {
    const ChunkCost &before = calm.chunks[c], &after = stalled.chunks[c];
    out.push_back(after.forward.pp - before.forward.pp);
    EXPECT_EQ(out.back(), after.input_grad.pp + after.recompute.pp - before.input_grad.pp);
  }
  return out;
}

TEST(ScheduleCosts, BothEndsOfEachTransferOfAPipelineOverNodesWait) {
  // Two nodes of 8, stages of 4 ranks: only the hop from stage 1 to stage 2 leaves a node, but all
  // of the pipeline's transfers wait, two in each pass of a stage in the middle.
  const Problem efa = training_problem("llama-3-8b", "aws-p5-h100:2", 4096, 32);
  const std::vector<Seconds> expected{Seconds{0.25}, Seconds{0.5}, Seconds{0.5}, Seconds{0.25}};
  EXPECT_EQ(stalls_of(efa, "tp4,pp4,dp1,mbs1,sp"), expected);
  EXPECT_EQ(stalls_of(efa, "tp4,pp4,dp1,mbs1,sp,recompute=full"), expected);
  // One node, and another network.
  const std::vector<Seconds> none(2, Seconds{0});
  EXPECT_EQ(
      stalls_of(training_problem("llama-3-8b", "aws-p5-h100:1", 4096, 32), "tp4,pp2,dp1,mbs1"),
      none);
  EXPECT_EQ(stalls_of(training_problem("llama-3-8b", "dgx-h100:2", 4096, 32), "tp8,pp2,dp1,mbs1"),
            none);
}

TEST(Predict, TheEndsOfAStalledTransferWaitAtTheSameTime) {
  const auto waits = [](int batch, const char* text) {
    const Problem problem = training_problem("llama-3-8b", "aws-p5-h100:2", 4096, batch);
    const Problem stalls = with_stalls(problem);
    PriceBook calm(problem), stalled(stalls);
    const Prediction p = predict(stalled, layout_from_text(text)).prediction;
    EXPECT_NEAR(p.terms.sum().count(), p.step.count(), 1e-9 * p.step.count()) << text;
    return (p.step - predict(calm, layout_from_text(text)).prediction.step).count();
  };
  // One micro-batch: there and back over p - 1 hops, each of 0.25 s for both of its ends.
  EXPECT_NEAR(waits(1, "tp8,pp2,dp1,mbs1"), 2 * 0.25, 1e-9);
  EXPECT_NEAR(waits(1, "tp4,pp4,dp1,mbs1"), 3 * 2 * 0.25, 1e-9);
  EXPECT_NEAR(waits(1, "tp4,pp4,dp1,mbs1,recompute=full"), 3 * 2 * 0.25, 1e-9);
  // In each further one a stage at an end of the pipeline waits twice: it sends and receives.
  EXPECT_NEAR(waits(64, "tp8,pp2,dp1,mbs1") - waits(32, "tp8,pp2,dp1,mbs1"), 32 * 2 * 0.25, 1e-6);
}

TEST(ScheduleCosts, RanksThatAreInterruptedWaitForEachOther) {
  // Two sequences a replica, in two micro-batches.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:1/2", 4096, 4);
  const auto change = [&](const char* layout) {
    problem.profile.waiting = {};
    const ScheduleCosts steady = costs_of(problem, layout);
    problem.profile.waiting = {.layer = 0.02, .step = 0.01};
    const ScheduleCosts uneven = costs_of(problem, layout);
    const Work &before = steady.chunks[0].forward, &after = uneven.chunks[0].forward;
    const Seconds work = steady.chunks[0].forward.compute + steady.chunks[0].input_grad.compute +
                         steady.chunks[0].weight_grad.compute;
    return std::array{(after.tp - before.tp) / before.compute,
                      (uneven.stages[0].sync - steady.stages[0].sync) / work};
  };
  const auto alone = change("tp1,pp1,dp1,mbs1"), tensor = change("tp2,pp1,dp1,mbs1"),
             data = change("tp1,pp1,dp2,mbs1");
  EXPECT_EQ(alone, (std::array{0.0, 0.0}));
  EXPECT_NEAR(tensor[0], 0.02, 1e-9);  // in every layer, and in step at its end
  EXPECT_EQ(tensor[1], 0);
  EXPECT_EQ(data[0], 0);
  EXPECT_NEAR(data[1], 2 * 0.01, 1e-9);
}

TEST(ScheduleCosts, AFullStageRetriesItsAllocations) {
  // 0.2 s in every micro-batch, half in each pass, of stages that fill more than they may.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 32);
  problem.framework.retry = Seconds{0.2};
  const ScheduleCosts roomy = costs_of(problem, "tp4,pp2,dp1,mbs1");
  problem.framework.retry_fill = 1e-3;
  const ScheduleCosts full = costs_of(problem, "tp4,pp2,dp1,mbs1");
  for (std::size_t c = 0; c < 2; ++c) {
    const Seconds forward = full.chunks[c].forward.overhead - roomy.chunks[c].forward.overhead;
    EXPECT_NEAR(forward.count(), 0.1, 1e-12);
  }
}

TEST(ScheduleCosts, AnUpdateOnTheHostIsBoundByItsMemory) {
  // 8.03e9 parameters on one H100, eight on the host: gradients 4, weights 2, master copy and
  // moments read and written 24 bytes each, at half of 614.4e9 bytes/s.
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const auto optimizer = [&](const char* layout) {
    return costs_of(problem, layout).stages[0].optimizer.count();
  };
  const double one_of_eight = 8.03e9 * 30 / (0.5 * 614.4e9 / 8);
  EXPECT_NEAR(optimizer("tp1,pp1,dp8,mbs1,offload=optimizer"), one_of_eight, 0.05 * one_of_eight);
  EXPECT_GT(optimizer("tp1,pp1,dp8,mbs1,offload=optimizer"), 5 * optimizer("tp1,pp1,dp8,mbs1"));
  // Sharded, each rank updates an eighth.
  EXPECT_NEAR(optimizer("tp1,pp1,dp8,mbs1,zero1,offload=optimizer"), one_of_eight / 8,
              0.05 * one_of_eight / 8);
}

TEST(ScheduleCosts, ANearerHostTakesMoreActivations) {
  // (12 + 4 / 4 + 6 * 3.5) h = 139 KB a token and layer take longer over PCIe than a layer's
  // forward computes; NVLink-C2C of a Grace Hopper hides them.
  const Problem pcie = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const Problem c2c = training_problem("llama-3-8b", "gh200x4-slingshot:2", 4096, 8);
  const char* const kept = "tp1,pp1,dp8,mbs1";
  const char* const away = "tp1,pp1,dp8,mbs1,offload=activations";
  const auto forward = [&](const Problem& problem, const char* layout) {
    return costs_of(problem, layout).chunks[0].forward.total().count();
  };
  EXPECT_GT(forward(pcie, away), 1.2 * forward(pcie, kept));
  EXPECT_DOUBLE_EQ(forward(c2c, away), forward(c2c, kept));
}

TEST(ScheduleCosts, AGradientThatWaitsIsReducedOnce) {
  // Four micro-batches: the last one reduces, which is a quarter for each of them.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 64);
  const char* const flat = "tp1,pp1,dp16,mbs1,zero2";
  const Seconds each = costs_of(problem, flat).chunks[0].weight_grad.dp;
  problem.framework.deferred_reduction = profiles::DeferredReduction::Always;
  EXPECT_NEAR(costs_of(problem, flat).chunks[0].weight_grad.dp / each, 0.25, 1e-9);
  // Where only pipelines defer, it does not wait without stages.
  problem.framework.deferred_reduction = profiles::DeferredReduction::Stages;
  EXPECT_EQ(costs_of(problem, flat).chunks[0].weight_grad.dp, each);
}

TEST(ScheduleCosts, APipelineThatDefersReducesAfterAllCompute) {
  Problem problem = training_problem("llama-3-8b", "dgx-h100:2", 4096, 32);
  const char* const layout = "tp1,pp2,dp8,mbs1,zero2,overlap=grad+param";
  EXPECT_TRUE(costs_of(problem, layout).chunks[0].gradient_reduce.empty()) << "beside backward";
  problem.framework.deferred_reduction = profiles::DeferredReduction::Stages;
  problem.framework.reduce_copy_bytes = 6;
  const ScheduleCosts last = costs_of(problem, layout);
  EXPECT_FALSE(last.overlap_gradient_reduce);
  EXPECT_EQ(last.chunks[0].weight_grad.dp, Seconds{0});
  EXPECT_EQ(last.chunks[0].gradient_reduce.size(), 16u) << "one call a layer";
  // No less than the bytes of 16 layers: 7/8 of four a parameter over NVLink, six through memory.
  const double parameters = 16 * 218112000.0;
  const double floor = parameters * (4 * 7.0 / 8 / 450e9 + 6 / 3.35e12);
  EXPECT_GT(sum(last.chunks[0].gradient_reduce).count(), floor);
}

TEST(ScheduleCosts, CopiesOfShardsMoveTheirBytes) {
  // 8.03e9 parameters, 4 bytes out of each of two gathers and 6 into the reduction.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const char* const layout = "tp1,pp1,dp8,mbs1,zero3";
  const auto exposed_dp = [&] {
    const ScheduleCosts costs = costs_of(problem, layout);
    return costs.chunks[0].forward.dp + costs.chunks[0].weight_grad.dp;
  };
  const Seconds in_place = exposed_dp();
  problem.framework.gather_copy_bytes = 4;
  problem.framework.reduce_copy_bytes = 6;
  const double extra = (exposed_dp() - in_place).count();
  const double floor = 14 * 32 * 218112000.0 / 3.35e12;  // the layers alone
  EXPECT_GT(extra, floor);
  EXPECT_LT(extra, 1.5 * floor);
}

}  // namespace
}  // namespace meshplan::planner
