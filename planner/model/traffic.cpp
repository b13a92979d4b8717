#include "planner/model/traffic.h"

#include <boost/range/iterator_range.hpp>
#include <set>

namespace meshplan::planner {

using profiles::Bytes;

Traffic operator_traffic(const OperatorGraph& graph, OperatorGraph::vertex_descriptor vertex,
                         std::int64_t tokens, std::int64_t kv_length, const LayerSplit& split,
                         int weight_bytes, int gradient_bytes) {
  const Operator& op = graph[vertex];
  if (op.kind == OperatorKind::Input || op.kind == OperatorKind::Output) return {};
  const auto bytes = [&](const Tensor& t) { return rank_bytes(t, tokens, kv_length, split); };

  Bytes inputs{}, outputs{}, kept{}, saved{};
  for (const auto edge : boost::make_iterator_range(in_edges(vertex, graph))) {
    inputs += bytes(graph[edge]);
    if (graph[edge].saved) saved += bytes(graph[edge]);
  }
  std::set<int> counted;  // one output tensor may have several consumers
  for (const auto edge : boost::make_iterator_range(out_edges(vertex, graph))) {
    if (counted.insert(graph[edge].storage).second) outputs += bytes(graph[edge]);
  }
  for (const Tensor& tensor : op.kept) kept += bytes(tensor);

  if (op.kind == OperatorKind::Embedding) {
    // Rows looked up; backward adds the output's gradient to the same rows.
    const Bytes rows = scaled(outputs, weight_bytes / 2.0);
    const Bytes gradient_rows = scaled(outputs, gradient_bytes / 2.0);
    return {inputs + rows + outputs, {}, inputs + outputs + 2 * gradient_rows};
  }
  const std::int64_t parameters = rank_parameters(op, split) + rank_tied_parameters(op, split);
  const Bytes weights{parameters * weight_bytes};
  const Bytes gradients{2 * parameters * gradient_bytes};
  Traffic traffic;
  traffic.forward = inputs + weights + outputs + kept;
  traffic.input_grad = outputs + weights + inputs;
  const bool gemm = op.kind == OperatorKind::Gemm || op.kind == OperatorKind::GroupedGemm ||
                    op.kind == OperatorKind::Router;
  if (gemm) {
    traffic.input_grad += kept;
    traffic.weight_grad = outputs + inputs + gradients;
  } else {
    traffic.input_grad += saved + kept;
    traffic.weight_grad = gradients;
  }
  return traffic;
}

}  // namespace meshplan::planner
