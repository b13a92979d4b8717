#include "planner/model/graph_builder.h"

namespace meshplan::planner {
namespace {

using Value = GraphBuilder::Value;
using Vertex = GraphBuilder::Vertex;

/// up (and gate) -> activation -> down, of width `ffn`; names start with `prefix`. The activation
/// is fused: its inputs are saved, and its product as the input of the down projection.
Value append_mlp(GraphBuilder& builder, const Transformer& model, const std::string& prefix,
                 int ffn, const Value& input) {
  const int up_width = model.gated() ? 2 * ffn : ffn;
  const Vertex up = builder.add(
      {.name = prefix + (model.gated() ? "_gate_up" : "_up"),
       .kind = OperatorKind::Gemm,
       .split = Split::Column,
       .input = model.hidden,
       .output = up_width,
       .parameters = std::int64_t{model.hidden} * up_width + (model.mlp_bias ? up_width : 0),
       .gathers_input = true});
  builder.use(input, up, true);
  const Vertex activation = builder.add({.name = prefix + "_activation",
                                         .kind = OperatorKind::Activation,
                                         .split = Split::Column,
                                         .input = up_width,
                                         .output = ffn});
  builder.use(builder.output(up, prefix + "_up", up_width, Spread::Tensor), activation, true);
  const Vertex down = builder.add({.name = prefix + "_down",
                                   .kind = OperatorKind::Gemm,
                                   .split = Split::Row,
                                   .input = ffn,
                                   .output = model.hidden,
                                   .parameters = std::int64_t{ffn} * model.hidden,
                                   .replicated_parameters = model.mlp_bias ? model.hidden : 0,
                                   .reduces_output = true});
  builder.use(builder.output(activation, prefix + "_activated", ffn, Spread::Tensor), down, true);
  return builder.output(down, prefix + "_output", model.hidden, Spread::Sequence);
}

/// Marks `op` as working on routed experts.
Operator on_experts(const Experts& experts, Operator op) {
  op.experts = experts.count;
  op.experts_per_token = experts.per_token;
  return op;
}

/// The same MLP, once per routed expert; tensors hold per_token copies of each token.
Value append_routed_mlp(GraphBuilder& builder, const Transformer& model, const Experts& experts,
                        const Value& dispatched) {
  const std::int64_t copies = experts.per_token;
  const int up_width = model.gated() ? 2 * experts.width : experts.width;
  const std::int64_t bias = experts.bias ? 1 : 0;
  const Vertex up = builder.add(on_experts(
      experts, {.name = model.gated() ? "experts_gate_up" : "experts_up",
                .kind = OperatorKind::GroupedGemm,
                .split = Split::Experts,
                .input = model.hidden,
                .output = up_width,
                .parameters = std::int64_t{experts.count} * (model.hidden + bias) * up_width}));
  builder.use(dispatched, up, true);
  const Vertex activation = builder.add(on_experts(experts, {.name = "experts_activation",
                                                             .kind = OperatorKind::Activation,
                                                             .split = Split::Experts,
                                                             .input = up_width,
                                                             .output = experts.width}));
  builder.use(builder.output(up, "experts_up", copies * up_width, Spread::Tensor), activation,
              true);
  const Vertex down =
      builder.add(on_experts(experts, {.name = "experts_down",
                                       .kind = OperatorKind::GroupedGemm,
                                       .split = Split::Experts,
                                       .input = experts.width,
                                       .output = model.hidden,
                                       .expert_rows = true,
                                       .parameters = std::int64_t{experts.count} *
                                                     (experts.width + bias) * model.hidden}));
  builder.use(
      builder.output(activation, "experts_activated", copies * experts.width, Spread::Tensor), down,
      true);
  return builder.output(down, "experts_output", copies * model.hidden, Spread::Dispatched);
}

}  // namespace

Value append_dense_mlp(GraphBuilder& builder, const Transformer& model, const Value& input) {
  return append_mlp(builder, model, "mlp", model.ffn, input);
}

Value append_experts(GraphBuilder& builder, const Transformer& model, const Value& input) {
  const Experts& experts = *model.experts;
  const bool corrected = experts.router_bias || experts.bias;
  const Vertex router = builder.add(on_experts(
      experts, {.name = "router",
                .kind = OperatorKind::Router,
                .split = Split::Sequence,
                .input = model.hidden,
                .output = experts.count,
                .replicated_parameters =
                    std::int64_t{model.hidden} * experts.count + (corrected ? experts.count : 0)}));
  builder.use(input, router, true);
  for (const char* name : {"logits", "probabilities"}) {
    builder.keep(
        router,
        {.name = name, .width = experts.count, .bytes_per_element = 4, .spread = Spread::Sequence});
  }
  const Vertex dispatch = builder.add(on_experts(experts, {.name = "dispatch",
                                                           .kind = OperatorKind::Dispatch,
                                                           .split = Split::Experts,
                                                           .input = model.hidden,
                                                           .output = model.hidden}));
  builder.use(input, dispatch, false);
  Value choice = builder.output(router, "choice", experts.per_token, Spread::Sequence);
  choice.tensor.bytes_per_element = 8;  // an expert's index and its weight, 4 bytes each
  builder.use(choice, dispatch, false);
  const Value routed = append_routed_mlp(
      builder, model, experts,
      builder.output(dispatch, "dispatched", std::int64_t{experts.per_token} * model.hidden,
                     Spread::Dispatched));

  const auto combine = [&](const auto& add_inputs) {
    const Vertex vertex = builder.add(on_experts(experts, {.name = "combine",
                                                           .kind = OperatorKind::Combine,
                                                           .split = Split::Experts,
                                                           .input = model.hidden,
                                                           .output = model.hidden}));
    builder.use(routed, vertex, true);  // the gradient of the weights needs what they multiply
    builder.use(choice, vertex, false);
    add_inputs(vertex);
    return builder.output(vertex, "combined", model.hidden, Spread::Sequence);
  };
  if (experts.shared_width == 0) return combine([](Vertex) {});

  const Value shared = append_mlp(builder, model, "shared_expert", experts.shared_width, input);
  if (!experts.shared_gate) return combine([&](Vertex v) { builder.use(shared, v, false); });

  const Vertex gate = builder.add({.name = "shared_expert_gate",
                                   .kind = OperatorKind::Gemm,
                                   .split = Split::Sequence,
                                   .input = model.hidden,
                                   .output = 1,
                                   .replicated_parameters = model.hidden});
  builder.use(input, gate, true);
  const Value scale = builder.output(gate, "shared_expert_scale", 1, Spread::Sequence);
  return combine([&](Vertex v) {
    builder.use(shared, v, true);
    builder.use(scale, v, true);
  });
}

}  // namespace meshplan::planner
