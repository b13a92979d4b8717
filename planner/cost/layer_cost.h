#pragma once
#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective_model.h"
#include "planner/cost/host_link.h"
#include "planner/layout/layout.h"
#include "planner/model/operators.h"
#include "planner/model/transformer.h"
#include "planner/simulate/costs.h"
#include "planner/workload.h"
#include "profiles/device_profile.h"
#include "profiles/framework.h"

/// What one block (a layer, the embedding, the head) costs per micro-batch on one rank, in three
/// steps, so that a search repeats only what changed:
///
///   block_compute        operators through the device profile     tp cp ep etp sp mbs
///   block_communication  collectives inside the block             the same, and where groups lie
///   block_cost           what recomputation and overlap make of both
namespace meshplan::planner {

/// Kernels of NCCL take multiprocessors and memory bandwidth from the compute they run beside.
/// Source: 18.9 % slower on average while collectives run, Lee et al., arXiv 2507.03114, 2025.
constexpr double kOverlapSlowdown = 0.189;

/// What a collective costs that runs beside compute: what sticks out, and what it slows.
constexpr profiles::Seconds exposed(profiles::Seconds collective, profiles::Seconds beside) {
  const profiles::Seconds hidden = collective < beside ? collective : beside;
  return (collective - hidden) + kOverlapSlowdown * hidden;
}

/// What every price depends on besides the layout.
struct CostContext {
  const Transformer& model;
  const Workload& workload;
  const profiles::Framework& framework;
  const profiles::DeviceProfile& profile;
  HostLink host = {};  ///< for layouts that offload
};

/// Tokens of a micro-batch that one rank sees of its stage: its part of a context.
std::int64_t rank_tokens(const Workload& workload, const Layout& layout);

/// Device time of the block's operators: matrix products by shape, attention by kernel, the rest by
/// the bytes it must move.
struct BlockCompute {
  profiles::Seconds forward{0}, input_grad{0}, weight_grad{0};
  profiles::Seconds core_attention{0};  ///< of forward: what selective recomputation repeats
  profiles::Seconds products{0};        ///< of forward: matrix products with weights
  int forward_kernels = 0, input_grad_kernels = 0, weight_grad_kernels = 0;
  double variance = 0;  ///< of the sum: operators' (time * spread)^2, squared seconds
};
BlockCompute block_compute(const OperatorGraph& block, const CostContext& context,
                           const Layout& layout);

/// Collectives of the groups inside a block, priced for where the groups lie.
struct BlockGroups {
  const CollectiveModel &tp, &cp, &ep;
  int tp_nodes = 1;  ///< nodes that the tensor-parallel group reaches
};

/// Time of the block's collectives, alone on their links.
///   tp: f and g of Megatron: all-reduce, or all-gather and reduce-scatter under sp
///   cp: keys and values around the ring beside attention, or gathered, or heads exchanged
///   ep: two all-to-alls forward, two backward
struct BlockCommunication {
  profiles::Seconds tp_forward{0}, tp_backward{0};
  profiles::Seconds tp_beside{0};  ///< of backward: what may run beside the weight gradient
  profiles::Seconds cp_forward{0}, cp_backward{0};  ///< beyond the attention that hides it
  profiles::Seconds ep_forward{0}, ep_backward{0};
};
BlockCommunication block_communication(const OperatorGraph& block, const CostContext& context,
                                       const Layout& layout, const BlockGroups& groups,
                                       profiles::Seconds core_attention);

struct BlockCost {
  Work forward, input_grad, weight_grad;
  Work recompute;  ///< what the layout's recomputation repeats before the backward
};
/// Host: a block that launches faster than it computes pays nothing; else the difference.
/// `stepping_nodes` = nodes that the tensor-parallel group reaches where the pipeline crosses
/// nodes, else 0: see Framework::pipelined_tp_step.
BlockCost block_cost(const BlockCompute& compute, const BlockCommunication& communication,
                     const Layout& layout, const profiles::Framework& framework,
                     int stepping_nodes = 0);

/// `block` on a host that needs `host` for it, a third for the forward pass and the rest for the
/// backward: a pass that the device finishes earlier waits for the host.
BlockCost launched(BlockCost block, profiles::Seconds host);

/// `block` of tensor-parallel ranks of which the first waits for the last wherever they meet, for
/// `share` of the work of a pass.
BlockCost waiting(BlockCost block, double share);

/// `block` with `bytes` of a micro-batch's activations copied to the host beside its forward and
/// back beside its backward: what a copy takes longer than the work beside it is overhead. Copy
/// engines need no multiprocessors, so hidden copies cost nothing.
BlockCost offloaded(BlockCost block, profiles::Bytes bytes, const HostLink& host);

}  // namespace meshplan::planner
