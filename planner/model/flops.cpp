#include "planner/model/flops.h"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <map>
#include <utility>

#include "planner/model/operator_graph.h"

namespace meshplan::planner {

using profiles::Flops;

double attended_keys(const Operator& op, double kv_length, AttentionConvention convention) {
  const auto of_window = [&](double window) {
    if (convention == AttentionConvention::Full) return window;
    // Query i of 1..s sees min(i, w): a triangle of w rows, then s - w rows of w.
    return (window * (window + 1) / 2 + (kv_length - window) * window) / kv_length;
  };
  if (!op.window) return of_window(kv_length);
  const double windowed = of_window(std::min<double>(*op.window, kv_length));
  return op.window_share * windowed + (1 - op.window_share) * of_window(kv_length);
}

Flops forward_flops(const Operator& op, double tokens, double kv_length,
                    AttentionConvention convention) {
  const auto product = [&](double width) {
    return Flops{2 * tokens * attended_keys(op, kv_length, convention) * op.heads * width};
  };
  const double gemm = 2 * tokens * static_cast<double>(op.input) * op.output;
  switch (op.kind) {
    case OperatorKind::Gemm:
    case OperatorKind::Router:
      return {gemm};
    case OperatorKind::GroupedGemm:
      return {gemm * op.experts_per_token};
    case OperatorKind::Attention:
      return product(op.head_dim + op.value_head_dim);
    case OperatorKind::Scores:
      return product(op.head_dim);
    case OperatorKind::Context:
      return product(op.value_head_dim);
    default:
      return {};
  }
}

BackwardFlops backward_flops(const Operator& op, double tokens, double kv_length,
                             AttentionConvention convention) {
  const Flops forward = forward_flops(op, tokens, kv_length, convention);
  switch (op.kind) {
    case OperatorKind::Attention: {
      const double scores = static_cast<double>(op.head_dim) / (op.head_dim + op.value_head_dim);
      return {2 * forward, {}, scores * forward};
    }
    case OperatorKind::Scores:
    case OperatorKind::Context:
      return {2 * forward, {}, {}};
    default:
      return {forward, forward, {}};
  }
}

Flops forward_flops(const OperatorGraph& graph, double tokens, double kv_length,
                    AttentionConvention convention) {
  Flops sum{};
  for (const auto vertex : boost::make_iterator_range(vertices(graph))) {
    sum += forward_flops(graph[vertex], tokens, kv_length, convention);
  }
  return sum;
}

namespace {

/// Layers differ by dense or sparse, windowed or not: `of` is asked once for each kind.
template <typename Of>
Flops sum_over_layers(const Transformer& model, bool flash_attention, Of&& of) {
  Flops sum{};
  std::map<std::pair<bool, bool>, Flops> kinds;
  for (int layer = 0; layer < model.layers; ++layer) {
    const std::pair kind{model.sparse(layer), model.windowed(layer)};
    auto found = kinds.find(kind);
    if (found == kinds.end()) {
      found = kinds.emplace(kind, of(layer_operators(model, layer, flash_attention))).first;
    }
    sum += found->second;
  }
  return sum;
}

}  // namespace

Flops forward_flops_per_token(const Transformer& model, double seq_len,
                              AttentionConvention convention) {
  const auto forward = [&](const OperatorGraph& graph) {
    return forward_flops(graph, 1, seq_len, convention);
  };
  return forward(embedding_operators(model)) + forward(head_operators(model)) +
         sum_over_layers(model, true, forward);
}

Flops model_flops_per_token(const Transformer& model, double seq_len,
                            AttentionConvention convention) {
  return 3 * forward_flops_per_token(model, seq_len, convention);
}
Flops executed_flops_per_token(const Transformer& model, double seq_len,
                               AttentionConvention convention, Recompute recompute,
                               bool flash_attention) {
  const auto again = [&](const OperatorGraph& layer) {
    Flops sum{};
    for (const auto vertex : boost::make_iterator_range(vertices(layer))) {
      const Operator& op = layer[vertex];
      const bool core = op.kind == OperatorKind::Attention || op.kind == OperatorKind::Scores ||
                        op.kind == OperatorKind::Context;
      const bool repeats =
          recompute == Recompute::Full || (recompute == Recompute::Selective && core);
      if (repeats) sum += forward_flops(op, 1, seq_len, convention);
      sum += backward_flops(op, 1, seq_len, convention).rebuilt;
    }
    return sum;
  };
  return model_flops_per_token(model, seq_len, convention) +
         sum_over_layers(model, flash_attention, again);
}
Flops forward_flops_per_sequence(const Transformer& model, double seq_len,
                                 AttentionConvention convention) {
  return seq_len * forward_flops_per_token(model, seq_len, convention);
}
Flops model_flops_per_sequence(const Transformer& model, double seq_len,
                               AttentionConvention convention) {
  return seq_len * model_flops_per_token(model, seq_len, convention);
}

}  // namespace meshplan::planner
