#include "runtime/execute/layer.h"

#include <utility>

#include "runtime/execute/layer_parts.h"

namespace meshplan::runtime {
namespace {

using kernels::columns;
using kernels::TensorView;

/// Dropouts of one step, numbered: 0 the embedding, then three a layer.
int probabilities_place(int layer) { return 1 + 3 * layer; }
int attention_place(int layer) { return 2 + 3 * layer; }
int mlp_place(int layer) { return 3 + 3 * layer; }

kernels::AttentionShape attention_shape(const RankContext& context) {
  kernels::AttentionShape shape = attention_heads(context);
  shape.batch = context.layout().mbs;
  shape.query_len = shape.kv_len = context.seq_len();
  return shape;
}

kernels::AttentionDropout attention_dropout(const RankContext& context, int layer, int microbatch) {
  kernels::AttentionDropout dropout;
  dropout.probability = static_cast<float>(context.model().attention_dropout);
  dropout.key = dropout_key(context, probabilities_place(layer));
  dropout.first_sequence = context.first_row(microbatch) / context.seq_len();
  dropout.first_head =
      head_share(context.model(), context.layout().tp, context.groups.here.tp).first_head;
  dropout.model_heads = context.model().heads;
  return dropout;
}

void rotate(RankContext& context, const TensorView& x, bool inverse) {
  if (context.cosine.empty()) return;
  context.run(kernels::Rotary{.x = x,
                              .y = x,
                              .cosine = context.cosine.view(),
                              .sine = context.sine.view(),
                              .head_dim = context.model().head_dim,
                              .sequence_len = context.seq_len(),
                              .inverse = inverse});
}

/// dy W^T, [rows, rows of W]
Tensor input_gradient(RankContext& context, const Tensor& dy, const Weight& weight) {
  Tensor dx = context.activation(dy.rows(), weight.value.rows, MemoryTerm::Workspace);
  context.run(
      kernels::Gemm{.a = dy.view(), .b = weight.value, .c = dx.view(), .transpose_b = true});
  return dx;
}

void attend(RankContext& context, const kernels::AttentionDropout& dropout, const Tensor& qkv,
            const Tensor& out, const Tensor& statistics) {
  const QueryKeyValue parts = query_key_value(context, qkv);
  context.run(kernels::AttentionForward{.shape = attention_shape(context),
                                        .q = parts.q,
                                        .k = parts.k,
                                        .v = parts.v,
                                        .out = out.view(),
                                        .log_sum_exp = statistics.elements(),
                                        .dropout = dropout});
}

Tensor statistics_of_attention(const RankContext& context, MemoryTerm term) {
  const kernels::AttentionShape shape = attention_shape(context);
  return context.tensor(1, shape.batch * shape.heads * shape.query_len, term);
}

/// up <- the gradient of `up`, in place: nobody needs the values any more.
void activate_backward(RankContext& context, const Tensor& up, const Tensor& dy) {
  const kernels::Activation kind = activation_kernel(context.model().activation);
  if (!context.model().gated()) {
    context.run(kernels::ActivationBackward{kind, up.view(), dy.view(), up.view()});
    return;
  }
  const TensorView gate = columns(up.view(), 0, dy.cols());
  const TensorView value = columns(up.view(), dy.cols(), dy.cols());
  context.run(kernels::GatedActivationBackward{kind, gate, value, dy.view(), gate, value});
}

/// Gradient of m from that of m + down(activation(up(norm m))).
Tensor mlp_backward(RankContext& context, const LayerParameters& p, int layer, LayerSaved& saved,
                    const Tensor& gradient, int microbatch, WeightGradients& weight_gradients) {
  Tensor dmiddle;
  {
    const Tensor dout = dropout_gradient(context, gradient, mlp_place(layer), microbatch);
    const Tensor dwhole = gathered(context, dout);
    const Tensor dactivated = input_gradient(context, dwhole, p.down);
    weight_gradients.add(context, {.left = std::move(saved.activated),
                                   .right = dwhole,
                                   .weight = p.down,
                                   .bias = p.down_bias,
                                   .summed = dout});
    activate_backward(context, saved.up, dactivated);
  }
  const Tensor dup = std::move(saved.up);
  Tensor partial = input_gradient(context, dup, p.up);
  weight_gradients.add(context, {.left = std::move(saved.normed2),
                                 .right = dup,
                                 .gather_left = true,
                                 .weight = p.up,
                                 .bias = p.up_bias,
                                 .summed = dup});
  dmiddle = reduced(context, std::move(partial), MemoryTerm::Workspace);
  norm_backward(context, p.norm2, p.norm2_shift, saved.norm2, dmiddle);
  saved.norm2 = {};
  context.run(kernels::ResidualAdd{dmiddle.view(), gradient.view(), dmiddle.view()});
  return dmiddle;
}

/// Gradient of x from that of m = x + projection(attention(norm x)).
Tensor attention_backward(RankContext& context, const LayerParameters& p, int layer,
                          LayerSaved& saved, const Tensor& gradient, int microbatch,
                          WeightGradients& weight_gradients) {
  const Tensor dqkv = context.activation(saved.qkv.rows(), saved.qkv.cols(), MemoryTerm::Workspace);
  {
    const Tensor dout = dropout_gradient(context, gradient, attention_place(layer), microbatch);
    const Tensor dwhole = gathered(context, dout);
    const Tensor dattended = input_gradient(context, dwhole, p.projection);
    const kernels::AttentionDropout dropout = attention_dropout(context, layer, microbatch);
    Tensor attended = saved.attended;
    if (context.layout().recompute == planner::Recompute::Selective) {
      attended = context.activation(attended.rows(), attended.cols(), MemoryTerm::Workspace);
      saved.log_sum_exp = statistics_of_attention(context, MemoryTerm::Workspace);
      attend(context, dropout, saved.qkv, attended, saved.log_sum_exp);
    }
    const QueryKeyValue in = query_key_value(context, saved.qkv);
    const QueryKeyValue out = query_key_value(context, dqkv);
    context.run(kernels::AttentionBackward{.shape = attention_shape(context),
                                           .q = in.q,
                                           .k = in.k,
                                           .v = in.v,
                                           .out = attended.view(),
                                           .dout = dattended.view(),
                                           .log_sum_exp = saved.log_sum_exp.elements(),
                                           .dq = out.q,
                                           .dk = out.k,
                                           .dv = out.v,
                                           .dropout = dropout});
    weight_gradients.add(context, {.left = std::move(saved.attended),
                                   .right = dwhole,
                                   .weight = p.projection,
                                   .bias = p.projection_bias,
                                   .summed = dout});
    rotate(context, out.q, true);
    rotate(context, out.k, true);
    saved.qkv = {};
    saved.log_sum_exp = {};
  }
  Tensor partial = input_gradient(context, dqkv, p.qkv);
  weight_gradients.add(context, {.left = std::move(saved.normed1),
                                 .right = dqkv,
                                 .gather_left = true,
                                 .weight = p.qkv,
                                 .bias = p.qkv_bias,
                                 .summed = dqkv});
  Tensor dinput = reduced(context, std::move(partial), MemoryTerm::Workspace);
  norm_backward(context, p.norm1, p.norm1_shift, saved.norm1, dinput);
  context.run(kernels::ResidualAdd{dinput.view(), gradient.view(), dinput.view()});
  return dinput;
}

}  // namespace

Tensor layer_forward(RankContext& context, const LayerParameters& p, int layer, const Tensor& input,
                     int microbatch, LayerSaved& saved) {
  saved.normed1 = norm_forward(context, p.norm1, p.norm1_shift, input, saved.norm1);
  saved.qkv = product(context, gathered(context, saved.normed1), p.qkv, p.qkv_bias,
                      MemoryTerm::Activations);
  const QueryKeyValue qkv = query_key_value(context, saved.qkv);
  rotate(context, qkv.q, false);
  rotate(context, qkv.k, false);
  saved.attended = context.activation(context.tokens(), qkv.q.cols, MemoryTerm::Activations);
  saved.log_sum_exp = statistics_of_attention(context, MemoryTerm::Activations);
  attend(context, attention_dropout(context, layer, microbatch), saved.qkv, saved.attended,
         saved.log_sum_exp);
  Tensor middle =
      reduced(context, product(context, saved.attended, p.projection, {}, MemoryTerm::Activations),
              MemoryTerm::Activations);
  add_to_residual(context, middle, p.projection_bias, input, attention_place(layer), microbatch);

  saved.normed2 = norm_forward(context, p.norm2, p.norm2_shift, middle, saved.norm2);
  saved.up =
      product(context, gathered(context, saved.normed2), p.up, p.up_bias, MemoryTerm::Activations);
  saved.activated = activate(context, saved.up);
  Tensor output =
      reduced(context, product(context, saved.activated, p.down, {}, MemoryTerm::Activations),
              MemoryTerm::Activations);
  add_to_residual(context, output, p.down_bias, middle, mlp_place(layer), microbatch);
  return output;
}

void keep_for_backward(const RankContext& context, LayerSaved& saved) {
  switch (context.layout().recompute) {
    case planner::Recompute::None:
      break;
    case planner::Recompute::Selective:
      saved.log_sum_exp = {};
      break;
    case planner::Recompute::Full: {
      Tensor input = std::move(saved.norm1.input);
      saved = {};
      saved.norm1.input = std::move(input);
      break;
    }
  }
}

Tensor layer_backward(RankContext& context, const LayerParameters& p, int layer, LayerSaved saved,
                      const Tensor& gradient, int microbatch, WeightGradients& weight_gradients) {
  if (context.layout().recompute == planner::Recompute::Full) {
    const Tensor input = std::move(saved.norm1.input);
    layer_forward(context, p, layer, input, microbatch, saved);
  }
  const Tensor dmiddle =
      mlp_backward(context, p, layer, saved, gradient, microbatch, weight_gradients);
  return attention_backward(context, p, layer, saved, dmiddle, microbatch, weight_gradients);
}

}  // namespace meshplan::runtime
