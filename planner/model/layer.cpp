#include <stdexcept>

#include "planner/model/graph_builder.h"

namespace meshplan::planner {

using Value = GraphBuilder::Value;
using Vertex = GraphBuilder::Vertex;

Value append_norm(GraphBuilder& builder, const Transformer& model, std::string name,
                  const Value& input) {
  const int width = static_cast<int>(input.tensor.width);
  const Vertex norm = builder.add({.name = std::move(name),
                                   .kind = OperatorKind::Norm,
                                   .split = Split::Sequence,
                                   .input = width,
                                   .output = width,
                                   .replicated_parameters = norm_parameters(model, width)});
  builder.use(input, norm, true);
  return builder.output(norm, builder.name_of(norm) + "_output", width, Spread::Sequence);
}

namespace {

/// `branch` through its dropout, onto the residual stream.
Value append_residual(GraphBuilder& builder, const Transformer& model, const std::string& name,
                      const Value& stream, Value branch) {
  if (model.dropout > 0) {
    const Vertex dropout = builder.add({.name = name + "_dropout",
                                        .kind = OperatorKind::Dropout,
                                        .split = Split::Sequence,
                                        .input = model.hidden,
                                        .output = model.hidden});
    builder.use(branch, dropout, false);
    builder.keep_mask(dropout, model.hidden, Spread::Sequence);
    branch = builder.output(dropout, name + "_dropped", model.hidden, Spread::Sequence);
  }
  const Vertex sum = builder.add({.name = name + "_residual",
                                  .kind = OperatorKind::Residual,
                                  .split = Split::Sequence,
                                  .input = model.hidden,
                                  .output = model.hidden});
  builder.use(stream, sum, false);
  builder.use(branch, sum, false);
  return builder.output(sum, name + "_sum", model.hidden, Spread::Sequence);
}

}  // namespace

OperatorGraph layer_operators(const Transformer& model, int layer, bool flash_attention,
                              profiles::DataType data_type) {
  if (layer < 0 || layer >= model.layers) throw std::out_of_range("layer of the model");
  GraphBuilder builder(data_type);
  const Vertex start = builder.add({.name = "input", .kind = OperatorKind::Input});
  const Value stream = builder.output(start, "layer_input", model.hidden, Spread::Sequence);

  const Value attention_input = append_norm(builder, model, "input_norm", stream);
  Value attention = append_attention(builder, model, layer, flash_attention, attention_input);
  if (model.post_norms) {
    attention = append_norm(builder, model, "attention_output_norm", attention);
  }
  const Value middle = append_residual(builder, model, "attention", stream, attention);

  const Value mlp_input =
      model.shared_norm
          ? attention_input
          : append_norm(builder, model, "mlp_norm", model.parallel_residual ? stream : middle);
  Value mlp = model.sparse(layer) ? append_experts(builder, model, mlp_input)
                                  : append_dense_mlp(builder, model, mlp_input);
  if (model.post_norms) mlp = append_norm(builder, model, "mlp_output_norm", mlp);
  return builder.finish(append_residual(builder, model, "mlp", middle, mlp));
}

}  // namespace meshplan::planner
