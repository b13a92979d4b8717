// What the planner says a rank of our own executor holds, against what its allocator counts.
#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "planner/predict.h"
#include "profiles/cluster_load.h"
#include "runtime/measure/replay.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

/// Large enough that words and single rows do not count: 64 wide, 512 words, sequences of 64.
planner::Transformer model_of(Family family, double dropout) {
  planner::Transformer model = tiny_model(family, dropout);
  model.hidden = 64;
  model.head_dim = 16;
  model.ffn = family == Family::Gpt ? 256 : 176;
  model.vocab = 512;
  model.embedding_width = 64;
  model.max_positions = 64;
  if (model.learned_positions > 0) model.learned_positions = 64;
  return model;
}

planner::Problem problem_of(const planner::Transformer& model, int global_batch) {
  planner::Problem problem;
  problem.model = model;
  problem.cluster = profiles::load_cluster("localhost", profiles::DataFiles());
  problem.cluster.devices_per_node = problem.cluster.devices_used_per_node = 16;
  problem.workload.data_type = profiles::DataType::Fp32;
  problem.workload.seq_len = 64;
  problem.workload.global_batch = global_batch;
  problem.framework = profiles::load_framework("embedded", profiles::DataFiles());
  problem.profile = profiles::load_profile(problem.cluster, profiles::DataFiles());
  return problem;
}

struct Case {
  Family family;
  const char* layout;
  double dropout = 0;
};

class PredictedMemory : public testing::TestWithParam<Case> {};

TEST_P(PredictedMemory, IsWithinOnePercentOfWhatIsAllocated) {
  const Case& c = GetParam();
  const planner::Problem problem = problem_of(model_of(c.family, c.dropout), 16);
  const planner::Layout layout = planner::layout_from_text(c.layout);
  planner::PriceBook book(problem);
  const planner::PreparedLayout prepared = planner::prepare(book, layout);
  Training training{problem.model, problem.workload, layout, prepared.schedule, {}};
  training.options.steps = 2;
  const Measurement m = measure_replay(training, prepared.costs, {}).measurement;
  for (int rank = 0; rank < m.ranks; ++rank) {
    const int stage = planner::place_of(layout, rank).pp;
    const auto predicted = static_cast<double>(prepared.memory[stage].allocated().count);
    const MemoryUse& use = m.memory[rank].at_peak;
    const auto counted = static_cast<double>(use.total().count);
    EXPECT_NEAR(predicted / counted, 1, 0.01)
        << "rank " << rank << ", activations " << use[MemoryTerm::Activations].count
        << ", workspace " << use[MemoryTerm::Workspace].count << ", communication "
        << use[MemoryTerm::Communication].count << "; predicted activations "
        << prepared.memory[stage].activations.count << ", loss "
        << prepared.memory[stage].loss.count << ", buffers "
        << prepared.memory[stage].buffers.count;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, PredictedMemory,
    testing::Values(Case{Family::Gpt, "tp1,pp1,dp1,mbs2"}, Case{Family::Gpt, "tp2,pp1,dp1,mbs2"},
                    Case{Family::Gpt, "tp2,pp1,dp1,mbs2,sp"}, Case{Family::Gpt, "tp1,pp2,dp1,mbs1"},
                    Case{Family::Gpt, "tp1,pp4,dp2,mbs1,zero1"},
                    Case{Family::Gpt, "tp1,pp2,dp4,mbs1,vpp2", 0.1},
                    Case{Family::Gpt, "tp2,pp2,dp4,mbs1,sp", 0.1},
                    Case{Family::Gpt, "tp1,pp2,dp1,mbs1,schedule=gpipe"},
                    Case{Family::Gpt, "tp1,pp2,dp2,mbs1,recompute=selective"},
                    Case{Family::Llama, "tp1,pp1,dp2,mbs1,zero1"},
                    Case{Family::Llama, "tp2,pp1,dp1,mbs1,sp"},
                    Case{Family::Llama, "tp2,pp2,dp2,mbs1,sp,recompute=full"}));

}  // namespace
}  // namespace meshplan::runtime
