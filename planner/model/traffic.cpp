#include "planner/model/traffic.h"

#include <boost/range/iterator_range.hpp>
#include <set>

#include "planner/model/operator_graph.h"

namespace meshplan::planner {

using profiles::Bytes;

Traffic operator_traffic(const OperatorGraph& graph, std::size_t vertex, std::int64_t tokens,
                         std::int64_t kv_length, const LayerSplit& split, int weight_bytes,
                         int gradient_bytes) {
  const Operator& op = graph[vertex];
  if (op.kind == OperatorKind::Input || op.kind == OperatorKind::Output) return {};
  LayerSplit gathered = split;
  gathered.sp = false;
  const LayerSplit& input_split = op.gathers_input ? gathered : split;
  const LayerSplit& output_split = op.reduces_output ? gathered : split;
  const auto bytes = [&](const Tensor& tensor, const LayerSplit& cut) {
    return rank_bytes(tensor, tokens, kv_length, cut);
  };

  Bytes inputs{}, saved{}, outputs{}, rows{}, gradient_rows{}, kept{};
  for (const auto edge : boost::make_iterator_range(in_edges(vertex, graph))) {
    const Bytes input = bytes(graph[edge], input_split);
    inputs += input;
    if (graph[edge].saved) saved += input;
  }
  std::set<int> counted;  // one output tensor may have several consumers
  for (const auto edge : boost::make_iterator_range(out_edges(vertex, graph))) {
    Tensor tensor = graph[edge];
    if (!counted.insert(tensor.storage).second) continue;
    outputs += bytes(tensor, output_split);
    tensor.bytes_per_element = weight_bytes;
    rows += bytes(tensor, output_split);
    tensor.bytes_per_element = gradient_bytes;
    gradient_rows += bytes(tensor, output_split);
  }
  for (const Tensor& tensor : op.kept) kept += bytes(tensor, split);

  if (op.kind == OperatorKind::Embedding) {
    // Rows looked up; backward adds the output's gradient to the same rows.
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
