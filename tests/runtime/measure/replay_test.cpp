#include "runtime/measure/replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "profiles/input_error.h"
#include "runtime/measure/alike.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using planner::Action;
using profiles::Seconds;

/// Prices of nothing but `second` for every transfer and collective.
planner::ScheduleCosts communication_only(const planner::Schedule& schedule, Seconds second) {
  planner::ScheduleCosts costs;
  costs.chunks.resize(schedule.chunk_count());
  costs.stages.resize(schedule.stages);
  costs.hops_forward.resize(schedule.chunk_count());
  costs.hops_backward.resize(schedule.chunk_count());
  for (int c = 0; c < schedule.chunk_count(); ++c) {
    planner::ChunkCost& chunk = costs.chunks[c];
    chunk.gradient_reduce.assign(schedule.chunks[c].gradient_buckets, second);
    chunk.parameter_gather.assign(schedule.chunks[c].gather_buckets, second);
    if (c + 1 < schedule.chunk_count()) costs.hops_forward[c].transfer = second;
    if (c > 0) costs.hops_backward[c].transfer = second;
  }
  return costs;
}

Measured replayed(const Training& training, Seconds transfer, MeasureOptions options = {}) {
  return measure_replay(training, communication_only(training.schedule, transfer), options);
}

TEST(Alike, AreChunksOfAsManyLayersAndTheSameEnds) {
  planner::Transformer model = tiny_model(Family::Gpt);
  model.layers = 8;
  const auto kinds = [&](const char* layout) {
    return alike(planner::layout_from_text(layout), model);
  };
  EXPECT_EQ(kinds("tp1,pp4,dp1,mbs1").chunk, (std::vector<int>{0, 1, 1, 3}));
  EXPECT_EQ(kinds("tp1,pp4,dp1,mbs1").stage, (std::vector<int>{0, 1, 1, 3}));
  EXPECT_EQ(kinds("tp1,pp4,dp1,mbs1,stages=2-1-3-2").stage, (std::vector<int>{0, 1, 2, 3}));
  // Two chunks a stage: stages 1 and 2 hold chunks 1 and 5, 2 and 6.
  EXPECT_EQ(kinds("tp1,pp4,dp1,mbs1,vpp2").chunk, (std::vector<int>{0, 1, 1, 1, 1, 1, 1, 7}));
  EXPECT_EQ(kinds("tp1,pp4,dp1,mbs1,vpp2").stage, (std::vector<int>{0, 1, 1, 3}));
  EXPECT_EQ(kinds("tp1,pp1,dp1,mbs1").stage, (std::vector<int>{0}));
}

TEST(FewestMicrobatches, FillEveryStageAsAllOfThemDo) {
  const auto count = [](const char* layout) {
    const Training all = tiny_training(tiny_model(Family::Gpt), layout, 16);
    const Training fewest = with_fewest_microbatches(all);
    EXPECT_EQ(fewest.workload.global_batch,
              fewest.schedule.microbatches * all.layout.mbs * all.layout.dp);
    EXPECT_NO_THROW(refuse_unsupported(fewest));
    return fewest.schedule.microbatches;
  };
  EXPECT_EQ(count("tp1,pp1,dp1,mbs1"), 1);
  EXPECT_EQ(count("tp1,pp4,dp1,mbs1"), 4);  // the first stage has four in flight
  EXPECT_EQ(count("tp1,pp2,dp2,mbs1"), 2);
  EXPECT_EQ(count("tp1,pp2,dp1,mbs1,schedule=gpipe"), 16);  // all of them
  EXPECT_EQ(count("tp1,pp2,dp1,mbs1,vpp2") % 2, 0);         // interleaving takes multiples of pp
}

TEST(MeasureReplay, RunsOneRankOfAStageWhateverTheReplicas) {
  const Training training =
      tiny_training(tiny_model(Family::Llama), "tp2,pp2,dp4,mbs1,sp,zero1", 16, 3);
  // Collectives of a second against computation of milliseconds, and nothing hides them.
  const Measured measured = replayed(training, Seconds{1});
  const Measurement& m = measured.measurement;
  EXPECT_EQ(m.mode, Mode::Replay);
  EXPECT_EQ(m.ranks, 16);
  EXPECT_EQ(m.memory.size(), 16U);
  EXPECT_EQ(measured.timeline.ranks, 2);
  EXPECT_GT(m.terms.dp, Seconds{0.9});
  EXPECT_GT(m.terms.compute, Seconds{0});
  EXPECT_LT(m.terms.compute, Seconds{0.5});
  EXPECT_NEAR(m.terms.sum().count(), m.step.count(), 1e-9);
  ASSERT_TRUE(m.executed.has_value());
  EXPECT_EQ(m.executed->ranks.size(), 2U);
  EXPECT_EQ(m.executed->microbatches, 2);
  EXPECT_EQ(m.executed->of_microbatches, 4);
  EXPECT_TRUE(m.losses.empty());
}

TEST(MeasureReplay, MeasuresNoWorkTwiceThatIsAlike) {
  planner::Transformer model = tiny_model(Family::Gpt);
  model.layers = 16;
  constexpr int kSteps = 4;
  const Training training = tiny_training(model, "tp1,pp8,dp8,mbs1,schedule=gpipe", 64, kSteps);
  const Measurement m = replayed(training, Seconds{0}).measurement;
  EXPECT_EQ(m.ranks, 64);
  EXPECT_EQ(m.executed->ranks.size(), 8U);
  // Stages 1 to 6 are alike: stage 1 has been timed in three steps of eight micro-batches.
  for (const InstructionTime& time : m.instructions) {
    if (time.action != Action::Forward) continue;
    EXPECT_EQ(time.count, 8 * (kSteps - 1)) << time.chunk;
  }
  const auto forwards = std::count_if(m.instructions.begin(), m.instructions.end(),
                                      [](const auto& t) { return t.action == Action::Forward; });
  EXPECT_EQ(forwards, 8);
}

TEST(MeasureReplay, KeepsSoManyRanksBusyTogether) {
  const Training training = tiny_training(tiny_model(Family::Gpt), "tp2,pp3,dp1,mbs1", 8, 2);
  const Measurement m = replayed(training, Seconds{0}, {.at_once = 2}).measurement;
  // Three stages in two rounds of two: another rank keeps the third company.
  EXPECT_EQ(m.executed->ranks.size(), 4U);
  const std::set<int> different(m.executed->ranks.begin(), m.executed->ranks.end());
  EXPECT_EQ(different.size(), 4U);
}

TEST(MeasureReplay, CountsTheMemoryOfRanksThatRunTogether) {
  for (const char* layout :
       {"tp2,pp2,dp2,mbs1,sp,zero1", "tp1,pp4,dp1,mbs1", "tp2,pp2,dp1,mbs1,vpp2,sp",
        "tp1,pp2,dp1,mbs1,schedule=zb-h1", "tp1,pp2,dp1,mbs2,recompute=full"}) {
    const Training training = tiny_training(tiny_model(Family::Gpt, 0.1), layout, 16, 2);
    const std::vector<RankMemory> together =
        measure_parallel(training, {.warm_up = 1}).measurement.memory;
    const std::vector<RankMemory> alone = replayed(training, Seconds{0}).measurement.memory;
    ASSERT_EQ(alone.size(), together.size());
    for (std::size_t rank = 0; rank < alone.size(); ++rank) {
      // 97 words are cut unevenly: the last share stands for all.
      const auto place = planner::place_of(training.layout, static_cast<int>(rank));
      if (place.tp + 1 != training.layout.tp) continue;
      EXPECT_EQ(alone[rank].at_peak, together[rank].at_peak) << layout << " rank " << rank;
    }
  }
}

TEST(MeasureReplay, NeedsAStepAfterTheWarmUp) {
  const Training training = tiny_training(tiny_model(Family::Gpt), "tp1,pp1,dp1,mbs1", 8, 2);
  EXPECT_THROW(replayed(training, Seconds{0}, {.warm_up = 2}), profiles::InputError);
}

TEST(ReplayedLosses, AreThoseOfRanksThatRunTogether) {
  const Training training = tiny_training(tiny_model(Family::Gpt), "tp2,pp2,dp2,mbs1", 8, 3);
  // Collectives reduce in the order of ranks, whoever arrives first: the same bits.
  EXPECT_EQ(replayed_losses(training, Seconds{60}),
            measure_parallel(training, {.warm_up = 1}).measurement.losses);
}

}  // namespace
}  // namespace meshplan::runtime
