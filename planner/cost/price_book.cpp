#include "planner/cost/price_book.h"

#include <algorithm>
#include <functional>
#include <initializer_list>

#include "planner/layout/stage_split.h"
#include "planner/model/model_graphs.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

/// The degrees that prices depend on, 16 bits each: no job has more ranks along one of them.
std::uint64_t packed_degrees(const Layout& layout) {
  const auto degree = [](int value) { return static_cast<std::uint64_t>(value) & 0xFFFF; };
  return degree(layout.tp) << 48 | degree(layout.ep) << 32 | degree(layout.expert_tp()) << 16 |
         degree(layout.cp);
}

}  // namespace

Placement placement(const Layout& layout, const profiles::Cluster& cluster) {
  Placement out;
  out.tp = group_shape(layout, Axis::Tp, cluster);
  if (layout.cp > 1) out.cp = group_shape(layout, Axis::Cp, cluster);
  if (layout.ep > 1) out.ep = expert_group_shape(layout, cluster);
  if (layout.replicas() > 1) {
    out.shards =
        layout.hsdp > 1 ? shard_group_shape(layout, cluster) : replica_group_shape(layout, cluster);
    if (layout.hsdp > 1) out.replicates = replicate_group_shape(layout, cluster);
    out.expert_replicas = layout.ep > 1 ? expert_replica_group_shape(layout, cluster) : out.shards;
  }
  if (layout.pp > 1) {
    for (int stage = 0; stage < layout.pp; ++stage) {
      out.hops.push_back(pipeline_hop(layout, stage, cluster));
    }
  }
  return out;
}

PriceBook::PriceBook(const Problem& problem)
    : problem_(problem),
      context_{problem.model, problem.workload, problem.framework, problem.profile,
               host_link(problem.cluster)} {}

const ModelGraphs& PriceBook::graphs(int tp) {
  const auto [at, fresh] = graphs_.try_emplace(tp);
  if (fresh) {
    Transformer model = problem_.framework.pads_vocabulary
                            ? with_padded_vocabulary(problem_.model, tp)
                            : problem_.model;
    if (!problem_.framework.dropout) model.dropout = model.attention_dropout = 0;
    at->second = std::make_shared<const ModelGraphs>(
        model_graphs(model, problem_.uses_flash_attention(), problem_.workload.data_type));
  }
  return *at->second;
}

std::size_t PriceBook::ShapeHash::operator()(const GroupShape& shape) const {
  std::size_t hash = 0;
  for (const int field : {shape.ranks, shape.nodes, shape.ranks_per_node, shape.groups_per_node,
                          shape.nvlink_domains, shape.nics, shape.groups_per_nic}) {
    hash = hash * 1000003 + static_cast<std::size_t>(field);
  }
  return hash;
}

std::size_t PriceBook::KeyHash::operator()(const Key& key) const {
  return std::hash<std::uint64_t>{}(key.degrees * 0x9E3779B97F4A7C15 ^ key.options);
}

const CollectiveModel& PriceBook::group(const GroupShape& shape) {
  const auto at = groups_.find(shape);
  if (at != groups_.end()) return at->second;
  return groups_.emplace(shape, CollectiveModel(shape, problem_.cluster)).first->second;
}

HopCost PriceBook::hop(const GroupShape& shape, Bytes boundary) {
  const CollectiveModel& link = group(shape);
  const Seconds latency = link.time(Collective::SendReceive, Bytes{1});
  const Seconds whole = link.time(Collective::SendReceive, boundary);
  return {.latency = latency, .transfer = std::max(whole - latency, Seconds{0})};
}

const PriceBook::BlockComputes& PriceBook::computes(const Layout& layout) {
  const std::uint64_t options = static_cast<std::uint64_t>(layout.mbs) << 2 | (layout.sp ? 2 : 0) |
                                (layout.cp_kind == ContextKind::Ulysses ? 1 : 0);
  const auto [at, fresh] = computes_.try_emplace({packed_degrees(layout), options});
  if (fresh) {
    const ModelGraphs& model = graphs(layout.tp);
    at->second = {block_compute(model.dense_layer, context_, layout),
                  block_compute(model.sparse_layer, context_, layout),
                  block_compute(model.embedding, context_, layout),
                  block_compute(model.head, context_, layout)};
  }
  return at->second;
}

const RankParameters& PriceBook::parameters(const Layout& layout) {
  const auto [at, fresh] = parameters_.try_emplace({packed_degrees(layout), 0});
  if (fresh) {
    at->second =
        rank_parameters(problem_.model, layer_split(layout), problem_.framework.pads_vocabulary);
  }
  return at->second;
}

LayerPace PriceBook::pace(const BlockCompute& layer) const {
  const profiles::Framework& framework = problem_.framework;
  const int launches =
      (layer.forward_kernels + layer.input_grad_kernels + layer.weight_grad_kernels) *
      framework.kernels_per_operator;
  return {layer.forward + layer.input_grad + layer.weight_grad, launches * framework.kernel_launch};
}

const ActivationBytes& PriceBook::activations(const Layout& layout) {
  const std::uint64_t options = static_cast<std::uint64_t>(layout.mbs) << 4 | (layout.sp ? 8 : 0) |
                                static_cast<std::uint64_t>(layout.recompute) << 1 |
                                (layout.offload == Offload::Activations ? 1 : 0);
  const auto [at, fresh] = activations_.try_emplace({packed_degrees(layout), options});
  if (fresh) {
    at->second = activation_bytes(problem_.model, graphs(layout.tp), layout, problem_.workload,
                                  problem_.framework);
    if (at->second.side_stream.count > 0) at->second.pace = pace(computes(layout).dense_layer);
  }
  return at->second;
}

BlockPrices PriceBook::prices(const Layout& layout, const Placement& where) {
  const BlockComputes& compute = computes(layout);
  const ModelGraphs& model = graphs(layout.tp);
  const BlockGroups groups{group(where.tp), group(where.cp), group(where.ep), where.tp.nodes};
  const bool crosses =
      std::any_of(where.hops.begin(), where.hops.end(), [](auto& hop) { return hop.nodes > 1; });
  const auto price = [&](const OperatorGraph& block, const BlockCompute& computed) {
    const BlockCost cost = block_cost(
        computed, block_communication(block, context_, layout, groups, computed.core_attention),
        layout, problem_.framework, crosses ? where.tp.nodes : 0);
    return layout.tp > 1 ? waiting(cost, context_.profile.waiting.layer) : cost;
  };
  BlockPrices out{price(model.dense_layer, compute.dense_layer),
                  price(model.sparse_layer, compute.sparse_layer),
                  price(model.embedding, compute.embedding), price(model.head, compute.head)};
  const profiles::Framework& framework = problem_.framework;
  const bool graphs = framework.graphs_on_grace && problem_.cluster.host_cpu == "arm";
  if (!graphs && profiles::bits(problem_.workload.data_type) < 16) {
    out.sparse_layer = launched(out.sparse_layer, framework.sparse_layer_host);
  }
  if (layout.offload == Offload::Activations) {
    const ActivationBytes& bytes = activations(layout);
    out.dense_layer = offloaded(out.dense_layer, bytes.offloaded_dense, context_.host);
    out.sparse_layer = offloaded(out.sparse_layer, bytes.offloaded_sparse, context_.host);
  }
  return out;
}

ScheduleCosts PriceBook::costs(const Layout& layout, const std::vector<int>& split,
                               const Placement& where) {
  const profiles::Cluster& cluster = problem_.cluster;
  RankGroup everyone;
  everyone.append({1, layout.devices()});
  const GroupShape world = group_shape(everyone, layout.devices(), cluster);
  const GroupShape ends = where.hops.empty() ? GroupShape{} : where.hops.back();
  const profiles::Framework& framework = problem_.framework;
  const bool efa = cluster.inter_kind == profiles::InterNodeKind::Efa;
  const bool stalled_reduce =
      efa && framework.stalled_ranks > 0 && layout.devices() >= framework.stalled_ranks;
  const bool stalled_transfers = efa && framework.stalled_transfer > Seconds{0} &&
                                 std::any_of(where.hops.begin(), where.hops.end(),
                                             [](const GroupShape& hop) { return hop.nodes > 1; });
  const ReplicaGroups replicas{
      group(where.shards), group(where.expert_replicas), group(where.replicates), group(world),
      group(ends),         where.shards.nodes > 1,       stalled_transfers,       stalled_reduce};
  PipelineHops hops;
  const Bytes boundary = activations(layout).boundary;
  const auto stages = static_cast<std::size_t>(layout.pp);
  for (std::size_t s = 0; s < where.hops.size(); ++s) {
    hops.forward.push_back(hop(where.hops[s], boundary));
    hops.crosses_nodes.push_back(where.hops[s].nodes > 1);
  }
  for (std::size_t s = 0; s < where.hops.size(); ++s) {
    hops.backward.push_back(hops.forward[(s + stages - 1) % stages]);
  }
  ScheduleCosts out = schedule_costs(context_, layout, split, prices(layout, where),
                                     parameters(layout), replicas, hops);
  if (framework.retry > Seconds{0}) add_allocator_retries(layout, split, out);
  return out;
}

void PriceBook::add_allocator_retries(const Layout& layout, const std::vector<int>& split,
                                      ScheduleCosts& costs) {
  std::vector<StageLoad> loads;
  std::vector<StageMemory> memory;
  const RankParameters& owned = parameters(layout);
  const ActivationBytes& bytes = activations(layout);
  stage_loads(problem_.model, layout, problem_.workload, split, owned, bytes, loads);
  stage_memory(problem_, layout, loads, owned, bytes, memory);
  // Half of it in each pass, spread over the chunks of the stage.
  const Seconds each = problem_.framework.retry / (2.0 * layout.chunks_per_stage());
  for (std::size_t c = 0; c < costs.chunks.size(); ++c) {
    const int stage = owner_of_chunk(layout, static_cast<int>(c));
    if (!memory[static_cast<std::size_t>(stage)].retries) continue;
    costs.chunks[c].forward.overhead += each;
    costs.chunks[c].input_grad.overhead += each;
  }
}

}  // namespace meshplan::planner
