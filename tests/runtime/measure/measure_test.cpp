#include "runtime/measure/measure.h"

#include <gtest/gtest.h>

#include <cmath>

#include "planner/simulate/terms.h"
#include "profiles/input_error.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using planner::Term;
using profiles::Seconds;

TEST(MeasureParallel, TermsAddUpToTheStep) {
  for (const char* layout :
       {"tp1,pp1,dp1,mbs2", "tp2,pp2,dp2,mbs1,sp,zero1", "tp1,pp2,dp1,mbs1,schedule=zb-v"}) {
    const Training training = tiny_training(tiny_model(Family::Llama), layout, 8, 4);
    const Measured measured = measure_parallel(training, {.warm_up = 1});
    const Measurement& m = measured.measurement;
    ASSERT_EQ(m.steps.size(), 3U);
    EXPECT_GT(m.step, Seconds{0});
    EXPECT_NEAR(m.terms.sum().count(), m.step.count(), 1e-9) << layout;
    EXPECT_GE(m.step, m.least());
    EXPECT_LE(m.step, m.most());
    EXPECT_EQ(m.memory.size(), static_cast<std::size_t>(training.layout.devices()));
    EXPECT_EQ(m.losses.size(), 4U);
  }
}

TEST(MeasureParallel, TermsAppearWhereTheLayoutHasThem) {
  const auto terms = [](const char* layout) {
    return measure_parallel(tiny_training(tiny_model(Family::Gpt), layout, 8, 3), {.warm_up = 1})
        .measurement.terms;
  };
  const planner::Terms alone = terms("tp1,pp1,dp1,mbs2");
  EXPECT_GT(alone.compute, Seconds{0});
  EXPECT_GT(alone.optimizer, Seconds{0});
  EXPECT_EQ(alone.tp + alone.dp + alone.pp, Seconds{0});
  EXPECT_GT(terms("tp2,pp1,dp1,mbs2").tp, Seconds{0});
  EXPECT_GT(terms("tp1,pp1,dp2,mbs2").dp, Seconds{0});
  EXPECT_GT(terms("tp1,pp2,dp1,mbs2").pp, Seconds{0});
}

TEST(MeasureParallel, SpansOfAStreamAreOrderedAndApart) {
  const Training training =
      tiny_training(tiny_model(Family::Gpt), "tp2,pp2,dp1,mbs1,vpp2,sp", 8, 2);
  const planner::Timeline timeline = measure_parallel(training, {.warm_up = 1}).timeline;
  ASSERT_FALSE(timeline.spans.empty());
  for (std::size_t i = 1; i < timeline.spans.size(); ++i) {
    const planner::Span& before = timeline.spans[i - 1];
    const planner::Span& span = timeline.spans[i];
    if (before.rank == span.rank && before.stream == span.stream) {
      EXPECT_LE(before.end, span.start);
    } else {
      EXPECT_LT(std::pair(before.rank, before.stream), std::pair(span.rank, span.stream));
    }
  }
}

TEST(MeasureParallel, NeedsAStepAfterTheWarmUp) {
  const Training training = tiny_training(tiny_model(Family::Gpt), "tp1,pp1,dp1,mbs1", 8, 2);
  EXPECT_THROW(measure_parallel(training, {.warm_up = 2}), profiles::InputError);
}

TEST(RankMemory, HoldsWhatTheLayoutSaysItHolds) {
  // Tiny Llama, one rank, fp32. Parameters: table and head 2 * 97 * 32 = 6208; per layer q, o
  // 2 * 32 * 32, k, v 2 * 32 * 16, gate, up, down 3 * 32 * 48, norms 2 * 32: 2048 + 1024 + 4608 +
  // 64 = 7744, four of them 30976; final norm 32: 37216 in all, each a multiple of 16 and so is the
  // sum. Weights and gradients 4 bytes each, moments 8.
  const auto memory = [](const char* layout) {
    const Training training = tiny_training(tiny_model(Family::Llama), layout, 8, 2);
    return measure_parallel(training, {.warm_up = 1}).measurement.memory;
  };
  const RankMemory one = memory("tp1,pp1,dp1,mbs1").front();
  EXPECT_EQ(one.at_peak[MemoryTerm::Weights].count, 4 * 37216);
  EXPECT_EQ(one.at_peak[MemoryTerm::Gradients].count, 4 * 37216);
  EXPECT_EQ(one.at_peak[MemoryTerm::Optimizer].count, 8 * 37216);
  // ZeRO-1 over four ranks: a quarter of the moments. 37216 is padded to a multiple of 16 * 2
  // buckets * 4 shards = 128: 37248.
  const RankMemory sharded = memory("tp1,pp1,dp4,mbs1,zero1").front();
  EXPECT_EQ(sharded.at_peak[MemoryTerm::Weights].count, 4 * 37248);
  EXPECT_EQ(sharded.at_peak[MemoryTerm::Optimizer].count, 8 * 37248 / 4);
  // GPipe holds all micro-batches on the first stage, 1F1B as many as there are stages.
  const auto gpipe = memory("tp1,pp2,dp1,mbs1,schedule=gpipe").front();
  const auto one_f_one_b = memory("tp1,pp2,dp1,mbs1").front();
  EXPECT_GT(gpipe.term_peaks[MemoryTerm::Activations].count,
            3 * one_f_one_b.term_peaks[MemoryTerm::Activations].count);
  // But not their logits: of 97 words in 16 tokens, 6208 bytes a micro-batch, eight would need
  // 49664 on the last stage. What it keeps of each instead is 16 x 32 floats: 2048.
  const auto last = [&](const char* layout) {
    return memory(layout).back().term_peaks[MemoryTerm::Activations].count;
  };
  const auto with_recompute = [&](const std::string& schedule) {
    return last(("tp1,pp2,dp1,mbs1,recompute=full" + schedule).c_str());
  };
  EXPECT_LT(with_recompute(",schedule=gpipe") - with_recompute(""), 49664);
  // Full recomputation keeps only the inputs of layers.
  const auto full = memory("tp1,pp2,dp1,mbs1,schedule=gpipe,recompute=full").front();
  EXPECT_LT(2 * full.term_peaks[MemoryTerm::Activations].count,
            gpipe.term_peaks[MemoryTerm::Activations].count);
}

}  // namespace
}  // namespace meshplan::runtime
