#include "runtime/execute/layer_parts.h"

#include <cmath>

namespace meshplan::runtime {

using kernels::columns;

QueryKeyValue query_key_value(const ModelContext& context, const Tensor& fused) {
  const HeadShare share = head_share(context.model(), context.layout().tp, context.groups.here.tp);
  const std::int64_t d = context.model().head_dim;
  const std::int64_t q = share.heads * d, kv = share.kv_heads * d;
  return {columns(fused.view(), 0, q), columns(fused.view(), q, kv),
          columns(fused.view(), q + kv, kv)};
}

kernels::AttentionShape attention_heads(const ModelContext& context) {
  const HeadShare share = head_share(context.model(), context.layout().tp, context.groups.here.tp);
  kernels::AttentionShape shape;
  shape.heads = share.heads;
  shape.kv_heads = share.kv_heads;
  shape.head_dim = context.model().head_dim;
  shape.scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
  return shape;
}

Tensor product(const ModelContext& context, const Tensor& x, const Weight& weight,
               const Weight& bias, MemoryTerm term) {
  Tensor y = context.activation(x.rows(), weight.value.cols, term);
  context.run(kernels::Gemm{.a = x.view(),
                            .b = weight.value,
                            .c = y.view(),
                            .bias = kernels::ConstTensorView(bias.value)});
  return y;
}

kernels::Activation activation_kernel(planner::Activation activation) {
  switch (activation) {
    case planner::Activation::Relu:
      return kernels::Activation::Relu;
    case planner::Activation::SquaredRelu:
      return kernels::Activation::SquaredRelu;
    case planner::Activation::SwiGlu:
      return kernels::Activation::Silu;
    case planner::Activation::Gelu:
    case planner::Activation::GeGlu:
      break;
  }
  return kernels::Activation::GeluTanh;
}

Tensor activate(const ModelContext& context, const Tensor& up) {
  const bool gated = context.model().gated();
  const std::int64_t width = gated ? up.cols() / 2 : up.cols();
  Tensor y = context.activation(up.rows(), width, MemoryTerm::Activations);
  const kernels::Activation kind = activation_kernel(context.model().activation);
  if (gated) {
    context.run(kernels::GatedActivationForward{kind, columns(up.view(), 0, width),
                                                columns(up.view(), width, width), y.view()});
  } else {
    context.run(kernels::ActivationForward{kind, up.view(), y.view()});
  }
  return y;
}

RotaryTables rotary_tables(const ModelContext& context, std::int64_t positions) {
  if (context.model().position != planner::PositionKind::Rotary) return {};
  const std::int64_t half = context.model().head_dim / 2;
  RotaryTables out{context.tensor(positions, half, MemoryTerm::Workspace),
                   context.tensor(positions, half, MemoryTerm::Workspace)};
  context.run(kernels::RotaryTable{.cosine = out.cosine.view(), .sine = out.sine.view()});
  return out;
}

}  // namespace meshplan::runtime
