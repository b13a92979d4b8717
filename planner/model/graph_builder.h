#pragma once
#include <string>
#include <utility>

#include "planner/model/operator_graph.h"

namespace meshplan::planner {

/// Appends operators in execution order and gives every tensor its storage.
class GraphBuilder {
 public:
  using Vertex = OperatorGraph::vertex_descriptor;
  /// A tensor and the operator that made it.
  struct Value {
    Vertex producer{};
    Tensor tensor;
  };

  explicit GraphBuilder(profiles::DataType data_type)
      : activation_bytes_(
            profiles::bits(data_type) == 32 || data_type == profiles::DataType::Tf32 ? 4 : 2) {}

  Vertex add(Operator op) {
    const Vertex vertex = add_vertex(graph_);
    graph_[vertex] = std::move(op);
    return vertex;
  }

  /// What `producer` puts out; a new storage.
  Value output(Vertex producer, std::string name, std::int64_t width, Spread spread) {
    Tensor tensor;
    tensor.name = std::move(name);
    tensor.width = width;
    tensor.bytes_per_element = activation_bytes_;
    tensor.spread = spread;
    tensor.storage = storages_++;
    return {producer, std::move(tensor)};
  }
  /// `consumer` reads `value`; `saved`: a backward at one end needs it.
  void use(const Value& value, Vertex consumer, bool saved) {
    Tensor tensor = value.tensor;
    tensor.saved = saved;
    add_edge(value.producer, consumer, std::move(tensor), graph_);
  }
  [[nodiscard]] const std::string& name_of(Vertex vertex) const { return graph_[vertex].name; }

  /// What `vertex` keeps for its own backward.
  void keep(Vertex vertex, Tensor tensor) {
    tensor.saved = true;
    tensor.storage = storages_++;
    graph_[vertex].kept.push_back(std::move(tensor));
  }
  /// One byte per element dropped or not, kept for backward.
  void keep_mask(Vertex vertex, std::int64_t width, Spread spread) {
    keep(vertex, {.name = "mask", .width = width, .bytes_per_element = 1, .spread = spread});
  }

  OperatorGraph finish(const Value& result) {
    const Vertex end = add({.name = "output", .kind = OperatorKind::Output});
    use(result, end, false);
    return std::move(graph_);
  }

 private:
  OperatorGraph graph_;
  int activation_bytes_;
  int storages_ = 0;
};

/// Parameters of a norm over `width` features.
inline std::int64_t norm_parameters(const Transformer& model, int width) {
  if (!model.norm_parameters) return 0;
  return model.normalization == Normalization::LayerNorm ? std::int64_t{2} * width : width;
}
/// A norm of the residual stream; its input is saved.
GraphBuilder::Value append_norm(GraphBuilder& builder, const Transformer& model, std::string name,
                                const GraphBuilder::Value& input);

/// Core attention and its projections: the residual stream's share, before the dropout.
GraphBuilder::Value append_attention(GraphBuilder& builder, const Transformer& model, int layer,
                                     bool flash_attention, const GraphBuilder::Value& input);
/// Dense MLP or experts, before the dropout.
GraphBuilder::Value append_dense_mlp(GraphBuilder& builder, const Transformer& model,
                                     const GraphBuilder::Value& input);
GraphBuilder::Value append_experts(GraphBuilder& builder, const Transformer& model,
                                   const GraphBuilder::Value& input);

}  // namespace meshplan::planner
