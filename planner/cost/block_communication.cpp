#include <boost/range/iterator_range.hpp>

#include "planner/cost/layer_cost.h"
#include "planner/model/operator_graph.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

int element_bytes(const Workload& workload) {
  return workload.data_type == profiles::DataType::Fp32 ? 4 : 2;
}

/// Host and skew of one tensor-parallel collective, beyond its time in a table: for each node
/// further that it reaches, and for each step of its ring.
struct CallCost {
  Seconds network{0}, ring_step{0};
};

/// f before column-parallel and g after row-parallel operators; bytes = the full activation, of
/// `element` bytes an element, `gathered` where it is gathered.
void add_tensor_parallel(const Operator& op, const Layout& layout, std::int64_t tokens, int element,
                         int gathered, const CollectiveModel& group, const CallCost& call,
                         BlockCommunication& out) {
  if (layout.tp == 1 || (!op.gathers_input && !op.reduces_output)) return;
  const std::int64_t full = tokens * (op.gathers_input ? op.input : op.output);
  const auto time = [&](Collective which) {
    const double steps = (which == Collective::AllReduce ? 2 : 1) * (layout.tp - 1);
    const Bytes bytes{full * (which == Collective::AllGather ? gathered : element)};
    return call.network + steps * call.ring_step + group.time(which, bytes);
  };
  if (op.gathers_input) {
    if (layout.sp) {
      out.tp_forward += time(Collective::AllGather);
      out.tp_backward += time(Collective::ReduceScatter);
      // The input is kept sharded and gathered once more for the weight gradient.
      out.tp_beside += time(Collective::AllGather);
    } else {
      out.tp_beside += time(Collective::AllReduce);
    }
  } else if (layout.sp) {
    out.tp_forward += time(Collective::ReduceScatter);
    out.tp_backward += time(Collective::AllGather);
  } else {
    out.tp_forward += time(Collective::AllReduce);
  }
}

/// Keys and values of `local` bytes a rank, gathered beside the first of the blocks that attention
/// goes through, of which each takes a cp-th of it; backward is about twice the work, gathers them
/// again, and sends their gradients of `gradient` bytes on after each block, beside the next one.
void add_gathered_blocks(const Layout& layout, Bytes local, Bytes gradient,
                         const CollectiveModel& group, Seconds core_attention,
                         BlockCommunication& out) {
  const Seconds gather = group.time(Collective::AllGather, std::int64_t{layout.cp} * local);
  const Seconds onward = group.time(Collective::SendReceive, gradient);
  const Seconds block = core_attention / layout.cp;
  out.cp_forward = exposed(gather, block);
  out.cp_backward =
      exposed(gather, 2 * block) + (layout.cp - 1) * exposed(onward, 2 * block) + onward;
}

void add_context_parallel(const CostContext& context, const Layout& layout, std::int64_t tokens,
                          int element, const CollectiveModel& group, Seconds core_attention,
                          BlockCommunication& out) {
  if (layout.cp == 1 || core_attention == Seconds{0}) return;
  const Transformer& model = context.model;
  const profiles::Framework& framework = context.framework;
  const std::int64_t query_heads = model.heads / layout.tp;
  const std::int64_t kv_heads =
      framework.context_repeats_kv ? query_heads : std::max(1, model.kv_heads / layout.tp);
  const std::int64_t features = tokens * 2 * kv_heads * model.head_dim;
  const Bytes local{features * element};
  if (layout.cp_kind == ContextKind::AllGather && framework.context_gradient_bytes > 0) {
    const double gradient = static_cast<double>(features) * framework.context_gradient_bytes;
    add_gathered_blocks(layout, local, Bytes{static_cast<std::int64_t>(gradient)}, group,
                        core_attention, out);
  } else if (layout.cp_kind == ContextKind::AllGather) {
    const Bytes full = std::int64_t{layout.cp} * local;
    out.cp_forward = group.time(Collective::AllGather, full);
    out.cp_backward = out.cp_forward + group.time(Collective::ReduceScatter, full);
  } else if (layout.cp_kind == ContextKind::Ring) {
    // cp - 1 neighbour exchanges, each beside one cp-th of the attention; backward is about twice
    // the work and carries the gradients of keys and values along.
    const double steps = layout.cp - 1;
    const Seconds exchange = group.time(Collective::SendReceive, local);
    const Seconds beside = core_attention / layout.cp;
    out.cp_forward = steps * exposed(exchange, beside);
    out.cp_backward = 2 * out.cp_forward;
  } else {
    // Queries, keys and values to their heads, the output back to the sequence.
    const Bytes sent{tokens * (2 * kv_heads + 2 * query_heads) * model.head_dim * element};
    out.cp_forward = group.time(Collective::AllToAll, sent);
    out.cp_backward = out.cp_forward;
  }
}

}  // namespace

BlockCommunication block_communication(const OperatorGraph& block, const CostContext& context,
                                       const Layout& layout, const BlockGroups& groups,
                                       Seconds core_attention) {
  BlockCommunication out;
  const std::int64_t tokens = rank_tokens(context.workload, layout);
  const int element = element_bytes(context.workload);
  const bool cast_first =
      context.framework.gathers_after_cast && profiles::bits(context.workload.data_type) < 16;
  const CallCost call{(groups.tp_nodes - 1) * context.framework.network_call,
                      context.framework.ring_step};
  for (const auto vertex : boost::make_iterator_range(boost::vertices(block))) {
    const Operator& op = block[vertex];
    const bool narrow = cast_first && op.split != Split::Vocabulary;
    add_tensor_parallel(op, layout, tokens, element, narrow ? 1 : element, groups.tp, call, out);
    const bool exchanges = op.kind == OperatorKind::Dispatch || op.kind == OperatorKind::Combine;
    if (exchanges && layout.ep > 1) {
      const std::int64_t mine = tokens / (layout.sp ? layout.tp : 1);
      const Bytes sent{mine * op.experts_per_token * context.model.hidden * element};
      const Seconds once = groups.ep.time(Collective::AllToAll, sent);
      out.ep_forward += once;
      out.ep_backward += once;
    }
  }
  add_context_parallel(context, layout, tokens, element, groups.cp, core_attention, out);
  return out;
}

}  // namespace meshplan::planner
