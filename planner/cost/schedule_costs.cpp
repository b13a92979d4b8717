#include "planner/cost/schedule_costs.h"

#include <algorithm>
#include <cmath>

#include "planner/cost/compute/memory_bound.h"
#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/memory/model_states.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

/// Megatron-Core: max(40M, 1M * dp) parameters a bucket.
constexpr double kBucketParameters = 40e6;
/// Weights of a layer where each is a collective of its own: two norms, qkv, projection, two or
/// three of the MLP.
constexpr int kLayerWeights = 6;
constexpr int kMostBuckets = 16;  // beyond, buckets change nothing that is seen in a step

Bytes rounded(double bytes) { return {static_cast<std::int64_t>(bytes + 0.5)}; }

int buckets(double parameters) {
  return std::clamp(static_cast<int>(std::ceil(parameters / kBucketParameters)), 1, kMostBuckets);
}

/// Whether the last stage holds the embedding's weights once more.
bool holds_tied_copy(const Transformer& model, const Layout& layout) {
  return model.tied_embeddings && owner_of_chunk(layout, layout.chunks() - 1) != 0;
}

/// Parameters of each chunk on one rank; a tied head of its own stage counts with the last chunk.
std::vector<ParameterCount> chunk_parameters(const Transformer& model, const Layout& layout,
                                             const std::vector<int>& split,
                                             const RankParameters& parameters) {
  std::vector<ParameterCount> out(split.size());
  int first = 0;
  for (std::size_t c = 0; c < split.size(); ++c) {
    out[c] = parameters.layers(model, first, split[c]);
    first += split[c];
  }
  out.front() = out.front() + parameters.embedding;
  out.back() = out.back() + parameters.head;
  if (holds_tied_copy(model, layout)) out.back() = out.back() + parameters.tied_head;
  return out;
}

class ReplicaPricer {
 public:
  ReplicaPricer(const CostContext& context, const Layout& layout, const ReplicaGroups& groups)
      : framework_(context.framework), layout_(layout), groups_(groups) {}

  /// Reduction of the gradients of `n` parameters, in `pieces` equal calls: one of them.
  [[nodiscard]] Seconds reduce(const ParameterCount& n, int pieces) const {
    const double bytes = framework_.reduction_bytes / pieces;
    const bool whole = layout_.zero == 0 || (layout_.zero == 1 && framework_.reduces_whole);
    return over(whole ? Collective::AllReduce : Collective::ReduceScatter, n, bytes);
  }
  [[nodiscard]] Seconds gather(const ParameterCount& n, int pieces) const {
    return over(Collective::AllGather, n, framework_.gathered_bytes / pieces);
  }

 private:
  [[nodiscard]] Seconds over(Collective which, const ParameterCount& n, double bytes) const {
    Seconds out{0};
    if (layout_.replicas() > 1 && n.dense > 0) {
      const Bytes dense = rounded(static_cast<double>(n.dense) * bytes);
      out += groups_.dense.time(which, dense);
      if (groups_.stalled_reduce && groups_.dense_crosses_nodes && which == Collective::AllReduce) {
        out = std::max(out, 2 * (dense / framework_.stalled_all_reduce));
      }
      if (layout_.hsdp > 1 && which == Collective::ReduceScatter) {
        out += groups_.replicas.time(Collective::AllReduce, shard(dense, layout_.shards()));
      }
    }
    if (n.experts > 0) {
      out += groups_.experts.time(which, rounded(static_cast<double>(n.experts) * bytes));
    }
    return out;
  }

  const profiles::Framework& framework_;
  const Layout& layout_;
  const ReplicaGroups& groups_;
};

/// The all-reduce of a table's gradients between the two stages that hold it; all ranks wait for it
/// at the gradient norm.
Seconds tied_exchange(const CostContext& context, const Layout& layout,
                      const RankParameters& parameters, const ReplicaGroups& groups) {
  if (!holds_tied_copy(context.model, layout)) return Seconds{0};
  const profiles::Framework& framework = context.framework;
  const bool sharded = framework.shards_tied_gradients && layout.zero >= 1;
  const double bytes = static_cast<double>(parameters.tied_head.sum()) * framework.reduction_bytes;
  return groups.ends.time(Collective::AllReduce, rounded(bytes / (sharded ? layout.shards() : 1)));
}

/// The update of `parameters` whose states lie on the host, where it runs: gradients go there and
/// weights come back beside it, piece by piece, so the slowest of the three shows; the norm and the
/// clipping of gradients stay on the device (`whole` bytes besides).
Seconds offloaded_update(const CostContext& context, double parameters, double whole) {
  const profiles::Framework& framework = context.framework;
  const double states = framework.gradient_bytes + 2 * framework.master_bytes +
                        2 * framework.moment_bytes + framework.weight_bytes;
  const double copied = std::max(framework.gradient_bytes, framework.weight_bytes);
  const Seconds update = rounded(parameters * states) / context.host.memory;
  const Seconds copy = rounded(parameters * copied) / context.host.link;
  const Bytes on_device = rounded(parameters * framework.step_bytes + whole);
  return memory_bound_time(on_device, context.profile).time + std::max(update, copy);
}

/// Moving `bytes` a parameter of `unit` through device memory.
Seconds copy_time(const CostContext& context, const ParameterCount& unit, double bytes) {
  if (bytes == 0) return Seconds{0};
  return memory_bound_time(rounded(static_cast<double>(unit.sum()) * bytes), context.profile).time;
}

/// Whether sharded gradients are reduced by themselves after all compute: PyTorch's pipelines run
/// every backward without, and reduce module by module when the last is done.
bool reduces_after_pipeline(const profiles::Framework& framework, const Layout& layout) {
  return layout.pp > 1 && defers_reduction(framework, layout);
}

/// Of sharded gradients, beside one backward. Those that wait for the last micro-batch cost each of
/// them its share of one reduction.
double reductions_per_microbatch(const profiles::Framework& framework, const Layout& layout,
                                 int batches) {
  if (reduces_after_pipeline(framework, layout)) return 0;
  return defers_reduction(framework, layout) ? 1.0 / batches : 1.0;
}

/// ZeRO-2 keeps no whole gradient, so each layer's is reduced in every micro-batch, behind the
/// backward of the layer before it; in the last one where the framework defers it. ZeRO-3 also
/// gathers every layer for forward and again for backward, one layer ahead.
void add_sharded_layers(const Layout& layout, const RankParameters& parameters,
                        const CostContext& context, const ReplicaPricer& pricer,
                        const std::vector<int>& split, const BlockPrices& blocks, int batches,
                        std::vector<ChunkCost>& chunks) {
  const bool gathers = layout.zero >= 3;
  const Transformer& model = context.model;
  const double efficiency = gathers ? context.framework.gather_efficiency : 1.0;
  const double reductions = reductions_per_microbatch(context.framework, layout, batches);
  const auto copies = [&](const ParameterCount& unit, double bytes) {
    return copy_time(context, unit, bytes);
  };
  const auto show = [&](const ParameterCount& unit, const BlockCost& block, Work& forward,
                        Work& backward) {
    const Seconds gather = gathers ? pricer.gather(unit, 1) / efficiency : Seconds{0};
    const Seconds reduce = pricer.reduce(unit, 1) / efficiency;
    forward.dp += exposed(gather, block.forward.total());
    const Seconds beside =
        block.recompute.total() + block.input_grad.total() + block.weight_grad.total();
    backward.dp +=
        reductions * exposed(gather + reduce, beside) + (1 - reductions) * exposed(gather, beside);
    if (unit.sum() == 0) return;
    // Copies are kernels of the compute's own stream.
    const Seconds unpacked =
        gathers ? copies(unit, context.framework.gather_copy_bytes) : Seconds{0};
    forward.dp += unpacked;
    backward.dp += unpacked + reductions * copies(unit, context.framework.reduce_copy_bytes);
  };
  int first = 0;
  for (std::size_t c = 0; c < split.size(); ++c) {
    const int sparse = sparse_layers(model, first, split[c]);
    Work forward;
    Work backward;
    show(parameters.dense_layer, blocks.dense_layer, forward, backward);
    const Work dense_forward = forward;
    const Work dense_backward = backward;
    forward = backward = Work{};
    show(parameters.sparse_layer, blocks.sparse_layer, forward, backward);
    const double dense_count = split[c] - sparse;
    chunks[c].forward = chunks[c].forward + dense_count * dense_forward + double(sparse) * forward;
    chunks[c].weight_grad =
        chunks[c].weight_grad + dense_count * dense_backward + double(sparse) * backward;
    // The first gather of a chunk has nothing before it to hide behind, the last reduction nothing
    // after it.
    const ParameterCount& end = c == 0 ? parameters.embedding : parameters.dense_layer;
    if (gathers) chunks[c].forward.dp += pricer.gather(end, 1);
    chunks[c].weight_grad.dp += reductions * pricer.reduce(end, 1);
    first += split[c];
  }
}

/// By stage: what replicas wait for each other after a step's work, where no tensor-parallel
/// meeting has kept them in step.
std::vector<Seconds> waiting_replicas(const CostContext& context, const Layout& layout,
                                      const std::vector<ChunkCost>& chunks) {
  std::vector<Seconds> out(static_cast<std::size_t>(layout.pp), Seconds{0});
  if (layout.tp > 1 || layout.replicas() == 1 || context.profile.waiting.step == 0) return out;
  const double share = context.profile.waiting.step * microbatches(layout, context.workload);
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const ChunkCost& chunk = chunks[c];
    out[static_cast<std::size_t>(owner_of_chunk(layout, static_cast<int>(c)))] +=
        share * (chunk.forward.compute + chunk.recompute.compute + chunk.input_grad.compute +
                 chunk.weight_grad.compute);
  }
  return out;
}

}  // namespace

std::vector<ChunkCost> chunk_costs(const Transformer& model, const std::vector<int>& split,
                                   const BlockPrices& blocks) {
  std::vector<ChunkCost> out(split.size());
  int first = 0;
  const auto add = [](ChunkCost& chunk, double times, const BlockCost& block) {
    chunk.forward = chunk.forward + times * block.forward;
    chunk.input_grad = chunk.input_grad + times * block.input_grad;
    chunk.weight_grad = chunk.weight_grad + times * block.weight_grad;
    chunk.recompute = chunk.recompute + times * block.recompute;
  };
  for (std::size_t c = 0; c < split.size(); ++c) {
    const int sparse = sparse_layers(model, first, split[c]);
    add(out[c], split[c] - sparse, blocks.dense_layer);
    if (sparse > 0) add(out[c], sparse, blocks.sparse_layer);
    first += split[c];
  }
  // Embedding and head are never recomputed.
  const auto add_end = [&](ChunkCost& chunk, const BlockCost& block) {
    const Work recompute = chunk.recompute;
    add(chunk, 1, block);
    chunk.recompute = recompute;
  };
  add_end(out.front(), blocks.embedding);
  add_end(out.back(), blocks.head);
  return out;
}

ScheduleCosts schedule_costs(const CostContext& context, const Layout& layout,
                             const std::vector<int>& split, const BlockPrices& blocks,
                             const RankParameters& parameters, const ReplicaGroups& groups,
                             const PipelineHops& hops) {
  const profiles::Framework& framework = context.framework;
  const int chunk_count = layout.chunks();
  ScheduleCosts out;
  out.chunks = chunk_costs(context.model, split, blocks);
  out.stages.resize(static_cast<std::size_t>(layout.pp));
  const bool beside = framework.collectives_beside_compute;
  const bool at_end = reduces_after_pipeline(framework, layout);
  out.overlap_gradient_reduce = beside && layout.overlap != Overlap::None && !at_end;
  out.overlap_parameter_gather =
      beside && (layout.overlap == Overlap::GradParam || layout.overlap == Overlap::GradParamTp);

  const ReplicaPricer pricer(context, layout, groups);
  const auto owned = chunk_parameters(context.model, layout, split, parameters);
  const bool replicated = layout.replicas() > 1;
  std::vector<double> updated(static_cast<std::size_t>(layout.pp));
  std::vector<double> whole_gradients(static_cast<std::size_t>(layout.pp));
  for (int c = 0; c < chunk_count; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const ParameterCount& mine = owned[at];
    const auto count = static_cast<double>(mine.sum());
    const int shards = layout.zero >= 1 ? layout.shards() : 1;
    const auto owner = static_cast<std::size_t>(owner_of_chunk(layout, c));
    updated[owner] += count / shards;
    whole_gradients[owner] += layout.zero >= 2 ? count / shards : count;
    if (!replicated) continue;
    if (layout.zero < 2) {
      const int pieces = out.overlap_gradient_reduce ? buckets(count) : 1;
      out.chunks[at].gradient_reduce.assign(static_cast<std::size_t>(pieces),
                                            pricer.reduce(mine, pieces));
    }
    if (at_end) {
      const int pieces = std::max(split[at], 1);
      const Seconds copied = copy_time(context, mine, framework.reduce_copy_bytes);
      out.chunks[at].gradient_reduce.assign(static_cast<std::size_t>(pieces),
                                            pricer.reduce(mine, pieces) + copied / pieces);
    }
    if (layout.zero == 1 || layout.zero == 2) {
      const int pieces = out.overlap_parameter_gather ? buckets(count) : 1;
      const int tensors = framework.gathers_by_tensor ? kLayerWeights * split[at] + 1 : pieces;
      out.chunks[at].parameter_gather.assign(
          static_cast<std::size_t>(pieces),
          static_cast<double>(tensors) / pieces * pricer.gather(mine, tensors));
    }
  }
  if (replicated && layout.zero >= 2) {
    add_sharded_layers(layout, parameters, context, pricer, split, blocks,
                       microbatches(layout, context.workload), out.chunks);
  }

  // Gradients read, master copy and moments read and written, working weights written.
  const double bytes = framework.gradient_bytes + 2 * framework.master_bytes +
                       2 * framework.moment_bytes + framework.weight_bytes + framework.step_bytes;
  const Seconds norm =
      layout.devices() > 1 ? groups.world.time(Collective::AllReduce, Bytes{4}) : Seconds{0};
  const Seconds exchange = tied_exchange(context, layout, parameters, groups);
  const std::vector<Seconds> waiting = waiting_replicas(context, layout, out.chunks);
  for (int s = 0; s < layout.pp; ++s) {
    const auto at = static_cast<std::size_t>(s);
    const double whole = whole_gradients[at] * framework.whole_step_bytes;
    out.stages[at].optimizer =
        (layout.offload == Offload::Optimizer
             ? offloaded_update(context, updated[at], whole)
             : memory_bound_time(rounded(updated[at] * bytes + whole), context.profile).time) +
        framework.step_overhead;
    out.stages[at].sync = exchange + norm + waiting[at];
  }

  // Transfers between stages and gradient buckets leave through the same NICs.
  const bool shares = replicated && out.overlap_gradient_reduce && layout.zero < 2 &&
                      groups.dense_crosses_nodes && layout.pp > 1;
  out.hops_forward.resize(static_cast<std::size_t>(chunk_count));
  out.hops_backward.resize(static_cast<std::size_t>(chunk_count));
  if (shares) {
    for (int s = 0; s < layout.pp; ++s) {
      out.links.push_back({s});
      out.stages[static_cast<std::size_t>(s)].reduce_link = s;
    }
  }
  for (int c = 0; c < chunk_count; ++c) {
    const int stage = owner_of_chunk(layout, c);
    const auto at = static_cast<std::size_t>(c);
    const auto hop = [&](int to_chunk, const std::vector<HopCost>& by_stage) {
      if (to_chunk < 0 || to_chunk >= chunk_count) return HopCost{};
      if (owner_of_chunk(layout, to_chunk) == stage) return HopCost{};
      HopCost cost = by_stage[static_cast<std::size_t>(stage)];
      if (!framework.overlap_p2p) cost.transfer = Seconds{0};  // inside the work: see blocking
      if (shares && hops.crosses_nodes[static_cast<std::size_t>(stage)]) cost.link = stage;
      return cost;
    };
    // A V turns round: its second half sends forward against the order of the stages.
    const bool reversed = layout.schedule == ScheduleKind::ZbV && c >= layout.pp;
    out.hops_forward[at] = hop(c + 1, reversed ? hops.backward : hops.forward);
    out.hops_backward[at] = hop(c - 1, reversed ? hops.forward : hops.backward);
    if (!framework.overlap_p2p) {
      const auto& ahead = reversed ? hops.backward : hops.forward;
      const auto& back = reversed ? hops.forward : hops.backward;
      const auto blocking = [&](int to_chunk, const std::vector<HopCost>& by_stage) {
        const bool crosses =
            to_chunk >= 0 && to_chunk < chunk_count && owner_of_chunk(layout, to_chunk) != stage;
        return crosses ? by_stage[static_cast<std::size_t>(stage)].transfer : Seconds{0};
      };
      // What goes to a neighbour, and, unless it is posted with the former, what comes from it.
      const Seconds after = blocking(c + 1, ahead);
      const Seconds before = blocking(c - 1, back);
      const double times = framework.single_p2p ? 2 : 1;
      out.chunks[at].forward.pp += times * after;
      out.chunks[at].input_grad.pp += times * before;
    }
    if (groups.stalled_transfers) {
      // A pass receives from one neighbour and sends to the other. Both ends of a transfer wait,
      // at the same time.
      const auto stall = [&](int other) {
        const bool transfers =
            other >= 0 && other < chunk_count && owner_of_chunk(layout, other) != stage;
        return transfers ? framework.stalled_transfer : Seconds{0};
      };
      const Seconds before = stall(c - 1);
      const Seconds after = stall(c + 1);
      ChunkCost& chunk = out.chunks[at];
      chunk.forward.pp += before + after;
      chunk.input_grad.pp += before;
      (layout.recompute == Recompute::None ? chunk.input_grad : chunk.recompute).pp += after;
      out.hops_forward[at].early = after;
      out.hops_backward[at].early = before;
    }
  }
  return out;
}

}  // namespace meshplan::planner
