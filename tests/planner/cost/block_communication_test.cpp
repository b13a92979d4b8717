#include <gtest/gtest.h>

#include <utility>

#include "planner/cost/layer_cost.h"
#include "planner/cost/price_book.h"
#include "planner/layout/layout_text.h"
#include "planner/model/operator_graph.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;
using test::training_problem;

BlockCommunication layer_communication(const Problem& problem, const char* text) {
  const Layout layout = layout_from_text(text);
  const CostContext context{problem.model, problem.workload, problem.framework, problem.profile};
  const Placement where = placement(layout, problem.cluster);
  const CollectiveModel tp(where.tp, problem.cluster);
  const CollectiveModel cp(where.cp, problem.cluster);
  const CollectiveModel ep(where.ep, problem.cluster);
  const OperatorGraph layer = layer_operators(problem.model, 0, true);
  return block_communication(layer, context, layout, {tp, cp, ep}, Seconds{1e-3});
}

TEST(BlockCommunication, OneRankTalksToNobody) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const BlockCommunication none = layer_communication(problem, "tp1,pp1,dp8,mbs1");
  EXPECT_EQ(none.tp_forward + none.tp_backward + none.tp_beside, Seconds{0});
  EXPECT_EQ(none.cp_forward + none.ep_forward, Seconds{0});
}

TEST(BlockCommunication, TwoAllReducesEachWay) {
  // Megatron: g after attention and after the MLP in forward, f before both in backward; each moves
  // the whole activation of the micro-batch, tokens x hidden x 2 bytes.
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const Layout layout = layout_from_text("tp8,pp1,dp1,mbs2");
  const CollectiveModel group(group_shape(layout, Axis::Tp, problem.cluster), problem.cluster);
  const Bytes activation{2 * 4096 * std::int64_t{4096} * 2};
  const Seconds once = group.time(Collective::AllReduce, activation);
  const BlockCommunication c = layer_communication(problem, "tp8,pp1,dp1,mbs2");
  EXPECT_DOUBLE_EQ(c.tp_forward.count(), 2 * once.count());
  EXPECT_DOUBLE_EQ((c.tp_backward + c.tp_beside).count(), 2 * once.count());
}

TEST(BlockCommunication, SequenceParallelismGathersAndScatters) {
  // Forward: all-gather before and reduce-scatter after both halves. Backward: the mirror image,
  // and the inputs gathered once more for the weight gradients.
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const Layout layout = layout_from_text("tp8,pp1,dp1,mbs1,sp");
  const CollectiveModel group(group_shape(layout, Axis::Tp, problem.cluster), problem.cluster);
  const Bytes activation{4096 * std::int64_t{4096} * 2};
  const double gather = group.time(Collective::AllGather, activation).count();
  const double scatter = group.time(Collective::ReduceScatter, activation).count();
  const BlockCommunication c = layer_communication(problem, "tp8,pp1,dp1,mbs1,sp");
  EXPECT_DOUBLE_EQ(c.tp_forward.count(), 2 * gather + 2 * scatter);
  EXPECT_DOUBLE_EQ(c.tp_backward.count(), 2 * gather + 2 * scatter);
  EXPECT_DOUBLE_EQ(c.tp_beside.count(), 2 * gather);
}

TEST(BlockCommunication, CallsFromPythonPayForEachStepOfTheirRing) {
  // Eight ranks: seven steps of an all-gather or a reduce-scatter, four of them forward and six
  // backward; an all-reduce goes round twice.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  const auto added = [&](const char* text) {
    problem.framework.ring_step = Seconds{0};
    const BlockCommunication replayed = layer_communication(problem, text);
    problem.framework.ring_step = Seconds{1e-6};
    const BlockCommunication called = layer_communication(problem, text);
    return std::pair{
        (called.tp_forward - replayed.tp_forward).count(),
        (called.tp_backward + called.tp_beside - replayed.tp_backward - replayed.tp_beside)
            .count()};
  };
  const auto [forward, backward] = added("tp8,pp1,dp1,mbs1,sp");
  EXPECT_NEAR(forward, 4 * 7e-6, 1e-12);
  EXPECT_NEAR(backward, 6 * 7e-6, 1e-12);
  EXPECT_NEAR(added("tp8,pp1,dp1,mbs1").first, 2 * 14e-6, 1e-12);
  EXPECT_EQ(added("tp1,pp1,dp8,mbs1").first, 0);
}

TEST(BlockCommunication, BlocksOfAContextHideWhatTheyGather) {
  // PyTorch's ring: keys and values, repeated to all 32 heads of 128, are gathered beside the first
  // of four blocks (1 ms / 4 forward, twice that backward); gradients of four bytes an element go
  // on beside each later block, the last beside nothing.
  Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 32768, 8);
  const char* const text = "tp1,pp1,dp2,mbs1,cp4,cp_kind=allgather";
  const Layout layout = layout_from_text(text);
  const CollectiveModel group(group_shape(layout, Axis::Cp, problem.cluster), problem.cluster);
  problem.framework.context_repeats_kv = true;
  problem.framework.context_gradient_bytes = 4;
  const std::int64_t features = 8192 * std::int64_t{2} * 32 * 128;
  const Seconds gather = group.time(Collective::AllGather, Bytes{4 * features * 2});
  const Seconds onward = group.time(Collective::SendReceive, Bytes{features * 4});
  const BlockCommunication c = layer_communication(problem, text);
  EXPECT_DOUBLE_EQ(c.cp_forward.count(), exposed(gather, Seconds{0.25e-3}).count());
  const Seconds beside{0.5e-3};
  EXPECT_DOUBLE_EQ(c.cp_backward.count(),
                   (exposed(gather, beside) + 3 * exposed(onward, beside) + onward).count());
  // Keys and values of 8 heads move a quarter of it.
  problem.framework.context_repeats_kv = false;
  EXPECT_LT(layer_communication(problem, text).cp_forward, c.cp_forward);
}

TEST(BlockCommunication, ExpertsExchangeBothWays) {
  const Problem problem = training_problem("mixtral-8x7b", "dgx-h100:1", 4096, 8);
  EXPECT_EQ(layer_communication(problem, "tp1,pp1,dp8,mbs1").ep_forward, Seconds{0});
  const BlockCommunication spread = layer_communication(problem, "tp1,pp1,dp8,mbs1,ep8");
  EXPECT_GT(spread.ep_forward, Seconds{0});
  EXPECT_GE(spread.ep_backward, spread.ep_forward);
}

}  // namespace
}  // namespace meshplan::planner
