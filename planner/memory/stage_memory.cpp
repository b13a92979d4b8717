#include "planner/memory/stage_memory.h"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <utility>

#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/memory/executor_memory.h"
#include "planner/memory/model_states.h"
#include "planner/model/model_graphs.h"
#include "planner/model/saved_activations.h"
#include "planner/schedule/in_flight.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

Bytes rounded(double bytes) { return {static_cast<std::int64_t>(bytes + 0.5)}; }

/// Everything a graph keeps for backward (embedding, head without its logits).
Bytes kept(const OperatorGraph& graph, std::int64_t tokens, std::int64_t seq, const LayerSplit& s) {
  return saved_activation_bytes(graph, tokens, seq, s, Recompute::None);
}

/// Output features of the head on one rank: the width of a row of logits.
std::int64_t logit_columns(const OperatorGraph& head, std::int64_t tokens, const LayerSplit& s) {
  for (const auto vertex : boost::make_iterator_range(boost::vertices(head))) {
    if (head[vertex].kind == OperatorKind::Gemm) return rank_gemm(head[vertex], tokens, s).columns;
  }
  return 0;
}

/// What unfused operators of one layer keep besides what their backward needs.
Bytes unfused_copies(const OperatorGraph& graph, std::int64_t tokens, const LayerSplit& split,
                     const Layout& layout, const profiles::Framework& framework) {
  const bool repeats = layout.recompute == Recompute::Selective && framework.selective_products > 0;
  if (layout.recompute == Recompute::Full || repeats) return {};
  double bytes = 0;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    const Operator& op = graph[vertex];
    const bool cut = op.split != Split::Sequence || split.sp;
    const double elements = static_cast<double>(tokens) * op.output / (cut ? split.tp : 1);
    if (op.kind == OperatorKind::Norm) bytes += elements * framework.norm_saved_bytes;
    const bool gated = op.kind == OperatorKind::Activation && op.input > op.output;
    if (gated && framework.unfused_gate) {
      bytes += 2 * elements * std::max(1, op.experts_per_token);
    }
  }
  return rounded(bytes);
}

/// Inputs of a layer's column-parallel products, gathered over the tensor-parallel ranks, beyond
/// the shards that are counted: where the software keeps them from forward to backward.
Bytes gathered_inputs(const OperatorGraph& graph, std::int64_t tokens, const LayerSplit& split,
                      int element, const profiles::Framework& framework) {
  if (!split.sp || split.tp == 1 || !framework.keeps_gathered_inputs) return {};
  std::int64_t features = 0;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    if (graph[vertex].gathers_input) features += graph[vertex].input;
  }
  return {tokens * features * element / split.tp * (split.tp - 1)};
}

/// What one layer keeps of a micro-batch, by the framework's way of selective recomputation.
Bytes saved_bytes(const OperatorGraph& graph, std::int64_t tokens, std::int64_t seq,
                  const LayerSplit& split, const Layout& layout,
                  const profiles::Framework& framework) {
  if (layout.recompute == Recompute::Selective && framework.selective_products > 0) {
    return kept_product_bytes(graph, tokens, seq, split, framework.selective_products);
  }
  return saved_activation_bytes(graph, tokens, seq, split, layout.recompute);
}

/// Bytes per parameter of a rank's states, dense and expert.
struct StateRates {
  StateBytes dense, experts;
};

StateRates state_rates(const Layout& layout, const Workload& workload,
                       const profiles::Framework& framework) {
  // Experts are replicated over fewer ranks: dp * cp * tp / (ep * etp).
  const int expert_replicas = std::max(
      1, static_cast<int>(std::int64_t{1} * layout.replicas() * layout.tp /
                          (std::int64_t{1} * layout.ep * layout.expert_tp()) / layout.hsdp));
  StateRates out{state_bytes(framework, workload.optimizer, layout.zero, layout.shards()),
                 state_bytes(framework, workload.optimizer, layout.zero, expert_replicas)};
  if (layout.offload == Offload::Optimizer) out.dense.optimizer = out.experts.optimizer = 0;
  if (defers_reduction(framework, layout) && microbatches(layout, workload) > 1) {
    // Whole from the first micro-batch on; the last one turns them into shards layer by layer.
    out.dense.gradients = std::max(out.dense.gradients, framework.deferred_gradient_bytes);
    out.experts.gradients = std::max(out.experts.gradients, framework.deferred_gradient_bytes);
  }
  return out;
}

/// Buffers that are free for the host but not yet for the device lie in memory on top of all
/// else. They never decide whether a stage fits: the allocator waits for what does not.
void add_late_frees(const Problem& problem, Bytes late, StageMemory& memory) {
  const Bytes full = scaled(problem.cluster.device.memory, problem.framework.retry_fill);
  memory.retries = memory.device() + late > full;
  if (!memory.retries) memory.buffers += late;
}

}  // namespace

ActivationBytes activation_bytes(const Transformer& model, const ModelGraphs& graphs,
                                 const Layout& layout, const Workload& workload,
                                 const profiles::Framework& framework) {
  const LayerSplit cut = layer_split(layout);
  const std::int64_t seq = workload.seq_len;
  const std::int64_t tokens = std::int64_t{layout.mbs} * seq / layout.cp;
  const int element = workload.data_type == profiles::DataType::Fp32 ? 4 : 2;

  ActivationBytes out;
  const auto layer = [&](const OperatorGraph& graph) {
    if (boost::num_vertices(graph) == 0) return Bytes{};
    const Bytes gathered = gathered_inputs(graph, tokens, cut, element, framework);
    Bytes saved = saved_bytes(graph, tokens, seq, cut, layout, framework);
    if (layout.recompute == Recompute::None) saved += gathered;
    const Bytes whole = saved_activation_bytes(graph, tokens, seq, cut, Recompute::None) + gathered;
    out.rebuilt = std::max(out.rebuilt, whole > saved ? whole - saved : Bytes{});
    return saved + unfused_copies(graph, tokens, cut, layout, framework);
  };
  const auto until_w = [&](const OperatorGraph& graph, Bytes saved) {
    if (boost::num_vertices(graph) == 0 || layout.recompute == Recompute::Full) return saved;
    return std::min(saved, weight_grad_activation_bytes(graph, tokens, seq, cut));
  };
  out.dense_layer = layer(graphs.dense_layer);
  out.sparse_layer = layer(graphs.sparse_layer);
  if (layout.offload == Offload::Activations) {
    out.offloaded_dense = std::exchange(out.dense_layer, {});
    out.offloaded_sparse = std::exchange(out.sparse_layer, {});
  }
  out.dense_until_w = until_w(graphs.dense_layer, out.dense_layer);
  out.sparse_until_w = until_w(graphs.sparse_layer, out.sparse_layer);
  out.embedding = kept(graphs.embedding, tokens, seq, cut);
  const std::int64_t columns = logit_columns(graphs.head, tokens, cut);
  out.logits = rounded(static_cast<double>(tokens) * static_cast<double>(columns) *
                       framework.loss_bytes_per_logit);
  // The head's graph keeps the norm's and the head's inputs; its logits are counted above.
  const std::int64_t stream = tokens * model.hidden * element;
  const std::int64_t sequence_share = layout.sp ? layout.tp : 1;
  out.head_input = out.head_input_gpipe = {2 * stream / sequence_share};
  out.boundary = {stream / layout.tp};
  // Backward holds the gathered input and its gradient, and flash attention an fp32 gradient of Q.
  const std::int64_t attention_width = std::int64_t{model.heads} * model.head_dim;
  out.transient = {(layout.sp ? 2 * stream : stream) + 4 * tokens * attention_width / layout.tp};
  // One layer's tensors on their way to the host or back while the next works on its own.
  out.transient += 2 * std::max(out.offloaded_dense, out.offloaded_sparse);
  if (layout.sp && layout.tp > 1) {
    out.side_stream =
        rounded(static_cast<double>(tokens * model.hidden) * framework.side_stream_bytes);
  }
  if (framework.own_executor) as_our_executor(out, model, layout, workload);
  return out;
}

void stage_loads(const Transformer& model, const Layout& layout, const Workload& workload,
                 const std::vector<int>& split, const RankParameters& parameters,
                 const ActivationBytes& activations, std::vector<StageLoad>& out) {
  const int chunks = layout.chunks();
  const int batches = microbatches(layout, workload);
  const bool tied_copy = model.tied_embeddings && layout.pp > 1 &&
                         owner_of_chunk(layout, 0) != owner_of_chunk(layout, chunks - 1);
  out.assign(static_cast<std::size_t>(layout.pp), StageLoad{});
  // Scratch: no allocation per candidate.
  thread_local std::vector<Bytes> kept_by_chunk;
  thread_local std::vector<Bytes> until_w_by_chunk;
  kept_by_chunk.assign(static_cast<std::size_t>(chunks), Bytes{});
  until_w_by_chunk.assign(static_cast<std::size_t>(chunks), Bytes{});

  int first = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const int count = split[static_cast<std::size_t>(chunk)];
    const auto stage = static_cast<std::size_t>(owner_of_chunk(layout, chunk));
    const int sparse = sparse_layers(model, first, count);
    ParameterCount& mine = out[stage].parameters;
    out[stage].layers += count;
    mine = mine + std::int64_t{count - sparse} * parameters.dense_layer +
           std::int64_t{sparse} * parameters.sparse_layer;
    Bytes& kept_here = kept_by_chunk[static_cast<std::size_t>(chunk)];
    Bytes& until_w_here = until_w_by_chunk[static_cast<std::size_t>(chunk)];
    kept_here = std::int64_t{count - sparse} * activations.dense_layer +
                std::int64_t{sparse} * activations.sparse_layer;
    until_w_here = std::int64_t{count - sparse} * activations.dense_until_w +
                   std::int64_t{sparse} * activations.sparse_until_w;
    if (chunk == 0) {
      mine = mine + parameters.embedding;
      kept_here += activations.embedding;
      until_w_here += activations.embedding;
    }
    if (chunk == chunks - 1) {
      mine = mine + parameters.head;
      if (tied_copy) mine = mine + parameters.tied_head;
      const bool gpipe = layout.schedule == ScheduleKind::GPipe;
      const Bytes head = gpipe ? activations.head_input_gpipe : activations.head_input;
      kept_here += head;
      until_w_here += head;
    }
    first += count;
  }

  for (int stage = 0; stage < layout.pp; ++stage) {
    out[static_cast<std::size_t>(stage)].activations =
        peak_activation_bytes(layout.schedule, layout.pp, layout.chunks_per_stage(), batches, stage,
                              kept_by_chunk, until_w_by_chunk);
  }
}

void stage_memory(const Problem& problem, const Layout& layout, const std::vector<StageLoad>& loads,
                  const RankParameters& parameters, const ActivationBytes& activations,
                  std::vector<StageMemory>& out) {
  const profiles::Framework& framework = problem.framework;
  const int chunks = layout.chunks();
  out.assign(static_cast<std::size_t>(layout.pp), StageMemory{});
  const StateRates rates = state_rates(layout, problem.workload, framework);
  const Bytes vocabulary_gradient = {2 * parameters.embedding.sum()};
  const auto last = static_cast<std::size_t>(owner_of_chunk(layout, chunks - 1));
  for (int stage = 0; stage < layout.pp; ++stage) {
    const auto s = static_cast<std::size_t>(stage);
    StageMemory& memory = out[s];
    const auto held = [&](double dense, double expert) {
      const ParameterCount& mine = loads[s].parameters;
      return rounded(static_cast<double>(mine.dense) * dense +
                     static_cast<double>(mine.experts) * expert);
    };
    memory.weights = held(rates.dense.weights, rates.experts.weights);
    memory.gradients = held(rates.dense.gradients, rates.experts.gradients);
    memory.optimizer = held(rates.dense.optimizer, rates.experts.optimizer);
    memory.activations = loads[s].activations;
    memory.workspace = framework.workspace;

    // Two moments compete for the peak: the loss (last stage) and a layer's backward.
    Bytes at_loss{};
    if (s == last) {
      at_loss = activations.logits;
      if (framework.embedding_gradient_transient) at_loss += vocabulary_gradient;
    }
    if (stage == 0 && framework.embedding_gradient_transient) at_loss += vocabulary_gradient;
    Bytes in_backward = activations.rebuilt + activations.transient;
    if (s == last && framework.own_executor) {
      // The head has run backward by then, and what it kept is gone.
      in_backward -= layout.schedule == ScheduleKind::GPipe ? activations.head_input_gpipe
                                                            : activations.head_input;
    }
    if (layout.zero >= 2) {
      // Gathered layers in use and fetched ahead, and one layer's unsharded gradient.
      const auto largest =
          static_cast<double>(std::max({parameters.dense_layer.sum(), parameters.sparse_layer.sum(),
                                        parameters.embedding.sum()}));
      if (layout.zero >= 3) {
        memory.buffers +=
            rounded(largest * framework.gathered_bytes * (1 + framework.prefetched_units));
      }
      in_backward += rounded(largest * framework.reduced_gradient_bytes);
    }
    // Our executor receives into tensors that are counted already.
    if (layout.pp > 1 && !framework.own_executor) memory.buffers += 2 * activations.boundary;
    if (at_loss > in_backward) {
      memory.loss = at_loss;
    } else {
      memory.buffers += in_backward;
    }

    memory.fragmentation = scaled(memory.allocated(), framework.fragmentation);
    memory.context = framework.context;
    const int groups = (layout.tp > 1) + (layout.cp > 1) + (layout.replicas() > 1) +
                       (layout.pp > 1) + (layout.ep > 1);
    memory.communicators = std::int64_t{groups} * framework.communicator;
    add_late_frees(problem,
                   scaled(activations.side_stream,
                          launch_ahead(problem, layout, activations.pace, stage, loads[s].layers)),
                   memory);
  }
}

Bytes peak_bytes(const std::vector<StageMemory>& stages) {
  Bytes most{};
  for (const StageMemory& stage : stages) most = std::max(most, stage.device());
  return most;
}

}  // namespace meshplan::planner
