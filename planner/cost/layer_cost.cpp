#include "planner/cost/layer_cost.h"

#include <algorithm>
#include <boost/range/iterator_range.hpp>

#include "planner/cost/compute/attention.h"
#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"
#include "planner/memory/launch_ahead.h"
#include "planner/memory/rank_parameters.h"
#include "planner/model/operator_graph.h"
#include "planner/model/shard.h"
#include "planner/model/traffic.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

Seconds at_least_zero(Seconds time) { return std::max(time, Seconds{0}); }

/// Tokens of the fullest rank's experts over the mean: ranks wait for the fullest at the next
/// exchange. Fitted on recorded runs (docs/accuracy.md); balancing losses leave 1.1 to 1.4.
constexpr double kExpertImbalance = 1.2;

bool is_product(const Operator& op) {
  return op.kind == OperatorKind::Gemm || op.kind == OperatorKind::GroupedGemm ||
         op.kind == OperatorKind::Router;
}

/// Dropout between softmax and context: rebuilt with the core attention.
bool reads_scores(const OperatorGraph& block, OperatorGraph::vertex_descriptor vertex) {
  const auto edges = boost::in_edges(vertex, block);
  return edges.first != edges.second && block[*edges.first].attention_scores;
}

/// Adds up operator times, what they may be off by, and how many kernels they are.
class Clock {
 public:
  void add(const Estimate& estimate) {
    extend(estimate);
    ++kernels_;
  }
  /// More work of a kernel that is counted already.
  void extend(const Estimate& estimate) {
    total_ += estimate.time;
    const double sigma = estimate.time.count() * estimate.spread;
    variance_ += sigma * sigma;
  }
  [[nodiscard]] Seconds total() const { return total_; }
  [[nodiscard]] double variance() const { return variance_; }
  [[nodiscard]] int kernels() const { return kernels_; }

 private:
  Seconds total_{0};
  double variance_ = 0;
  int kernels_ = 0;
};

/// Walks one block's operators and adds up each pass.
class ComputePricer {
 public:
  ComputePricer(const OperatorGraph& block, const CostContext& context, const Layout& layout)
      : block_(block),
        profile_(context.profile),
        type_(context.workload.data_type),
        framework_(context.framework),
        attention_type_(profiles::bits(type_) < 16 ? profiles::DataType::Bf16 : type_),
        drops_probabilities_(context.framework.dropout && context.model.attention_dropout > 0),
        passes_(context.model.normalization == Normalization::RmsNorm &&
                        context.framework.rms_norm_passes > 0
                    ? context.framework.rms_norm_passes
                    : context.framework.elementwise_passes),
        split_(layer_split(layout)),
        blocks_(layout.cp_kind == ContextKind::Ulysses ? 1 : layout.cp),
        sequences_(layout.mbs),
        seq_(context.workload.seq_len),
        query_(seq_ / layout.cp),
        tokens_(rank_tokens(context.workload, layout)) {}

  BlockCompute price() {
    for (const auto vertex : boost::make_iterator_range(boost::vertices(block_))) {
      const Operator& op = block_[vertex];
      if (op.kind == OperatorKind::Input || op.kind == OperatorKind::Output) continue;
      if (is_product(op)) {
        price_product(op);
      } else if (op.kind == OperatorKind::Attention) {
        price_fused_attention(op);
      } else if (op.kind == OperatorKind::Scores || op.kind == OperatorKind::Context) {
        price_unfused_product(op);
      } else {
        price_traffic(vertex);
      }
    }
    return {forward_.total(),
            input_grad_.total(),
            weight_grad_.total(),
            core_attention_,
            products_,
            forward_.kernels(),
            input_grad_.kernels(),
            weight_grad_.kernels(),
            forward_.variance() + input_grad_.variance() + weight_grad_.variance()};
  }

 private:
  Estimate product(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batch,
                   profiles::DataType type) const {
    return gemm_time({m, n, k, static_cast<int>(batch)}, type, profile_, Clocks::Sustained);
  }

  void price_product(const Operator& op) {
    const RankGemm g = rank_gemm(op, tokens_, split_);
    const std::int64_t weights = rank_parameters(op, split_) + rank_tied_parameters(op, split_);
    // Frameworks keep the router, the head and attention at 16 bits.
    const bool low = op.kind != OperatorKind::Router && op.split != Split::Vocabulary;
    const profiles::DataType type = low ? type_ : attention_type_;
    const auto priced = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
      Estimate out = product(m, n, k, g.groups, type);
      const bool grouped = op.kind == OperatorKind::GroupedGemm;
      if (grouped && split_.ep > 1) out.time *= kExpertImbalance;
      if (grouped && profiles::bits(type) < 16) out.time *= framework_.grouped_low_precision;
      return out;
    };
    const Estimate forward = priced(g.rows, g.columns, g.inner);
    forward_.add(forward);
    products_ += forward.time;
    input_grad_.add(priced(g.rows, g.inner, g.columns));
    weight_grad_.add(priced(g.inner, g.columns, g.rows));
    if (profiles::bits(type) < 16) {
      const bool shards = framework_.gathers_after_cast && split_.sp;
      const std::int64_t inputs = shards && op.gathers_input ? split_.tp : 1;
      const std::int64_t outputs = shards && op.reduces_output ? split_.tp : 1;
      forward_.add(streamed(g.rows * g.inner * g.groups / inputs, framework_.cast_bytes));
      input_grad_.add(streamed(g.rows * g.columns * g.groups / outputs, framework_.cast_bytes));
      if (framework_.weight_cast_bytes > 0) {
        // One pass casts the weights, the other their transposes.
        forward_.extend(streamed(weights, framework_.weight_cast_bytes / 2));
        input_grad_.extend(streamed(weights, framework_.weight_cast_bytes / 2));
      }
    }
    weight_grad_.extend(streamed(weights, framework_.accumulation_bytes));
  }

  /// `count` elements at `bytes_each` through device memory.
  Estimate streamed(std::int64_t count, double bytes_each) const {
    const double bytes = static_cast<double>(count) * bytes_each;
    return memory_bound_time(Bytes{static_cast<std::int64_t>(bytes)}, profile_);
  }

  void price_fused_attention(const Operator& op) {
    AttentionShape shape{sequences_,
                         query_,
                         seq_,
                         rank_heads(op, split_),
                         rank_kv_heads(op, split_),
                         op.head_dim,
                         op.value_head_dim,
                         true};
    // Context parallelism balances the causal triangle: every rank computes its share of it. Its
    // work is priced as that of whole sequences; blocks of them run no better.
    shape.query_len = seq_;
    shape.batch = std::max<std::int64_t>(1, sequences_ * query_ / seq_);
    const double share =
        static_cast<double>(sequences_ * query_) / static_cast<double>(shape.batch * seq_);
    AttentionShape in_window = shape;
    if (op.window) in_window.kv_len = std::min<std::int64_t>(shape.kv_len, *op.window);
    const auto kernel = framework_.flash2 ? AttentionKernel::Flash2 : AttentionKernel::Flash;
    const auto of_shape = [&](const AttentionShape& keys, AttentionPass which) {
      return attention_time(keys, which, kernel, attention_type_, profile_, Clocks::Sustained);
    };
    const auto pass = [&](AttentionPass which) {
      Estimate out = of_shape(in_window, which);
      if (op.window_share < 1) {
        out.time = op.window_share * out.time + (1 - op.window_share) * of_shape(shape, which).time;
      }
      out.time *= share * framework_.attention_slowdown;
      if (drops_probabilities_) out.time += share * attention_dropout_time(shape, profile_);
      return out;
    };
    Estimate forward = pass(AttentionPass::Forward);
    Estimate backward = pass(AttentionPass::Backward);
    if (blocks_ > 1 && framework_.context_step_bytes > 0) {
      const std::int64_t features = tokens_ * shape.heads * op.value_head_dim;
      const Estimate merged = streamed(blocks_ * features, framework_.context_step_bytes);
      forward.time += merged.time;
      backward.time += merged.time;
    }
    forward_.add(forward);
    input_grad_.add(backward);
    core_attention_ += forward.time;
  }

  /// Q K^T or P V of the unfused attention: one product per head, both gradients in input_grad.
  void price_unfused_product(const Operator& op) {
    const std::int64_t heads = std::int64_t{rank_heads(op, split_)} * sequences_;
    const bool scores = op.kind == OperatorKind::Scores;
    const std::int64_t columns = scores ? seq_ : op.value_head_dim;
    const std::int64_t inner = scores ? op.head_dim : seq_;
    const Estimate forward = product(query_, columns, inner, heads, attention_type_);
    forward_.add(forward);
    input_grad_.add(product(query_, inner, columns, heads, attention_type_));
    input_grad_.add(product(inner, columns, query_, heads, attention_type_));
    core_attention_ += forward.time;
  }

  void price_traffic(OperatorGraph::vertex_descriptor vertex) {
    const Operator& op = block_[vertex];
    const Traffic traffic = operator_traffic(block_, vertex, tokens_, seq_, split_);
    if (op.kind == OperatorKind::Loss) {
      price_loss(vertex);
      return;
    }
    const auto moved = [&](Bytes bytes) {
      return memory_bound_time(scaled(bytes, passes_), profile_);
    };
    const Estimate forward = moved(traffic.forward);
    forward_.add(forward);
    input_grad_.add(moved(traffic.input_grad));
    if (op.parameters + op.replicated_parameters > 0 && op.kind != OperatorKind::Embedding) {
      weight_grad_.add(moved(traffic.weight_grad));
    }
    if (op.kind == OperatorKind::Embedding) {
      const double bytes = framework_.embedding_gradient_bytes;
      if (bytes > 0) weight_grad_.add(streamed(rank_parameters(op, split_), bytes));
    }
    const bool inner_dropout = op.kind == OperatorKind::Dropout && reads_scores(block_, vertex);
    if (op.kind == OperatorKind::Softmax || inner_dropout) core_attention_ += forward.time;
  }

  /// Softmax cross-entropy over the vocabulary: half of its passes over the logits before the loss
  /// is known, half on the way back.
  void price_loss(OperatorGraph::vertex_descriptor vertex) {
    Tensor logits = block_[*boost::in_edges(vertex, block_).first];
    logits.bytes_per_element = 1;
    const std::int64_t count = rank_bytes(logits, tokens_, seq_, split_).count;
    const Estimate half = streamed(count, framework_.loss_traffic_per_logit / 2);
    forward_.add(half);
    input_grad_.add(half);
  }

  const OperatorGraph& block_;
  const profiles::DeviceProfile& profile_;
  const profiles::DataType type_;
  const profiles::Framework& framework_;
  const profiles::DataType attention_type_;  ///< stays at 16 bits under fp8 and fp4
  const bool drops_probabilities_;
  const double passes_;  ///< of element-wise work, over the least traffic
  const LayerSplit split_;
  const std::int64_t blocks_;  ///< of keys and values that attention goes through one by one
  const std::int64_t sequences_, seq_, query_, tokens_;
  Clock forward_, input_grad_, weight_grad_;
  Seconds core_attention_{0}, products_{0};
};

/// What selective recomputation repeats of `forward`: core attention; or, where the framework keeps
/// attention and some of the products, the others and all element-wise work. Reductions of outputs
/// are kept with those products; inputs are gathered again.
Work selective_recompute(const BlockCompute& compute, const Work& forward, const Layout& layout,
                         const profiles::Framework& framework) {
  Work out;
  if (framework.selective_products == 0) {
    out.compute = compute.core_attention;
    return out;
  }
  out.compute = compute.forward - compute.core_attention -
                (1 - framework.selective_products) * compute.products;
  if (layout.sp) out.tp = forward.tp / 2;
  return out;
}

}  // namespace

std::int64_t rank_tokens(const Workload& workload, const Layout& layout) {
  return std::int64_t{layout.mbs} * workload.seq_len / layout.cp;
}

BlockCompute block_compute(const OperatorGraph& block, const CostContext& context,
                           const Layout& layout) {
  return ComputePricer(block, context, layout).price();
}

BlockCost block_cost(const BlockCompute& compute, const BlockCommunication& communication,
                     const Layout& layout, const profiles::Framework& framework,
                     int stepping_nodes) {
  // A layer's steps over the tensor-parallel ranks; a third of them forward.
  const bool steps = compute.core_attention > Seconds{0} && stepping_nodes > 0 && layout.tp > 1;
  const Seconds stepped =
      steps ? tensor_parallel_steps(framework, layout.tp, stepping_nodes) : Seconds{0};
  const auto host = [&](int kernels, Seconds device, double share_of_steps) {
    const double launches = static_cast<double>(kernels) * framework.kernels_per_operator;
    return at_least_zero(launches * framework.kernel_launch + share_of_steps * stepped - device);
  };
  const bool hides = layout.overlap == Overlap::GradParamTp && framework.collectives_beside_compute;
  const double shown = hides ? 1 - framework.tp_overlap_fraction : 1.0;
  // What runs beside the weight gradient shows only beyond it.
  Seconds beside = communication.tp_beside;
  if (framework.sequence_parallel_async) beside = exposed(beside, compute.weight_grad);

  BlockCost out;
  Work& forward = out.forward;
  forward.compute = compute.forward;
  forward.tp = shown * communication.tp_forward;
  forward.cp = communication.cp_forward;
  forward.ep = communication.ep_forward;
  forward.overhead = host(compute.forward_kernels, forward.total(), 1.0 / 3);
  Work& input = out.input_grad;
  input.compute = compute.input_grad;
  input.tp = shown * communication.tp_backward + beside;
  input.cp = communication.cp_backward;
  input.ep = communication.ep_backward;
  input.overhead = host(compute.input_grad_kernels, input.total(), 1.0 / 3);
  out.weight_grad.compute = compute.weight_grad;
  out.weight_grad.overhead = host(compute.weight_grad_kernels, compute.weight_grad, 1.0 / 3);
  if (layout.recompute == Recompute::Full) out.recompute = forward;
  if (layout.recompute == Recompute::Selective) {
    out.recompute = selective_recompute(compute, forward, layout, framework);
  }
  return out;
}

BlockCost launched(BlockCost block, Seconds host) {
  const Seconds backward = block.input_grad.total() + block.weight_grad.total();
  block.forward.overhead += at_least_zero(host / 3 - block.forward.total());
  block.input_grad.overhead += at_least_zero(2 * host / 3 - backward);
  return block;
}

BlockCost waiting(BlockCost block, double share) {
  block.forward.tp += share * block.forward.compute;
  block.input_grad.tp += share * (block.input_grad.compute + block.weight_grad.compute);
  block.recompute.tp += share * block.recompute.compute;
  return block;
}

BlockCost offloaded(BlockCost block, Bytes bytes, const HostLink& host) {
  const Seconds copy = bytes / host.link;
  const Seconds backward =
      block.recompute.total() + block.input_grad.total() + block.weight_grad.total();
  block.forward.overhead += at_least_zero(copy - block.forward.total());
  block.input_grad.overhead += at_least_zero(copy - backward);
  return block;
}

}  // namespace meshplan::planner
