#include "planner/model/graph_builder.h"

namespace meshplan::planner {
namespace {

using Value = GraphBuilder::Value;
using Vertex = GraphBuilder::Vertex;

/// Queries [tokens, heads * head_dim], keys and values [tokens, kv_heads * ...].
struct Projections {
  Value query, key, value;
};

/// Marks `op` as working on heads.
Operator on_heads(const Transformer& model, Operator op) {
  op.split = Split::Heads;
  op.heads = model.heads;
  op.kv_heads = model.kv_heads;
  op.head_dim = model.head_dim;
  op.value_head_dim = model.value_head_dim();
  return op;
}

Value head_output(GraphBuilder& builder, Vertex producer, std::string name, int heads,
                  int head_dim) {
  Value value =
      builder.output(producer, std::move(name), std::int64_t{heads} * head_dim, Spread::Tensor);
  value.tensor.units = heads;
  return value;
}

std::int64_t query_key_norm_parameters(const Transformer& model) {
  if (!model.wide_query_key_norm) return 2 * norm_parameters(model, model.head_dim);
  return norm_parameters(model, model.heads * model.head_dim) +
         norm_parameters(model, model.kv_heads * model.head_dim);
}

/// Norm over head_dim (Qwen3) or all heads (OLMo 2) and rotation of queries and keys.
void append_query_key_transforms(GraphBuilder& builder, const Transformer& model,
                                 Projections& heads) {
  const int width = (model.heads + model.kv_heads) * model.head_dim;
  const auto append = [&](Operator op, const std::string& what, bool input_saved) {
    const Vertex vertex = builder.add(on_heads(model, std::move(op)));
    builder.use(heads.query, vertex, input_saved);
    builder.use(heads.key, vertex, input_saved);
    heads.query = head_output(builder, vertex, what + "_query", model.heads, model.head_dim);
    heads.key = head_output(builder, vertex, what + "_key", model.kv_heads, model.head_dim);
  };
  if (model.query_key_norm) {
    append({.name = "query_key_norm",
            .kind = OperatorKind::Norm,
            .input = width,
            .output = width,
            .replicated_parameters = query_key_norm_parameters(model)},
           "normed", true);
  }
  if (model.position == PositionKind::Rotary) {
    // Linear: backward needs only the angles, which all layers share.
    append({.name = "rotary", .kind = OperatorKind::Rotary, .input = width, .output = width},
           "rotated", false);
  }
}

Projections append_fused_projection(GraphBuilder& builder, const Transformer& model,
                                    const Value& input) {
  const int width = (model.heads + 2 * model.kv_heads) * model.head_dim;
  const Vertex qkv = builder.add(on_heads(
      model, {.name = "qkv",
              .kind = OperatorKind::Gemm,
              .input = model.hidden,
              .output = width,
              .parameters = std::int64_t{model.hidden} * width + (model.qkv_bias ? width : 0),
              .gathers_input = true}));
  builder.use(input, qkv, true);
  Projections heads{head_output(builder, qkv, "query", model.heads, model.head_dim),
                    head_output(builder, qkv, "key", model.kv_heads, model.head_dim),
                    head_output(builder, qkv, "value", model.kv_heads, model.head_dim)};
  append_query_key_transforms(builder, model, heads);
  return heads;
}

/// A projection of the residual stream to a latent that every rank holds whole.
Vertex append_down_projection(GraphBuilder& builder, const Transformer& model, std::string name,
                              const Value& input, int width) {
  const Vertex down = builder.add({.name = std::move(name),
                                   .kind = OperatorKind::Gemm,
                                   .split = Split::Sequence,
                                   .input = model.hidden,
                                   .output = width,
                                   .replicated_parameters = std::int64_t{model.hidden} * width +
                                                            (model.projection_bias ? width : 0)});
  builder.use(input, down, true);
  return down;
}

/// A projection of a latent (or of the residual stream) to the heads.
Vertex append_up_projection(GraphBuilder& builder, const Transformer& model, std::string name,
                            const Value& input, int head_width) {
  const int from = static_cast<int>(input.tensor.width);
  const int width = model.heads * head_width;
  const Vertex up = builder.add({.name = std::move(name),
                                 .kind = OperatorKind::Gemm,
                                 .split = Split::Column,
                                 .input = from,
                                 .output = width,
                                 .parameters = std::int64_t{from} * width,
                                 .gathers_input = true});
  builder.use(input, up, true);
  return up;
}

/// DeepSeek: keys and values, and mostly queries, come from low-rank latents. One rotary key of
/// rope_head_dim serves all heads. Training materialises whole keys per head.
Projections append_latent_projections(GraphBuilder& builder, const Transformer& model,
                                      const Value& input) {
  const LatentAttention& latent = *model.latent_attention;
  Value query_source = input;
  if (latent.query_rank > 0) {
    const Vertex down =
        append_down_projection(builder, model, "query_down", input, latent.query_rank);
    query_source =
        append_norm(builder, model, "query_norm",
                    builder.output(down, "query_latent", latent.query_rank, Spread::Sequence));
  }
  const Vertex query_up = append_up_projection(
      builder, model, latent.query_rank > 0 ? "query_up" : "query", query_source, model.head_dim);
  const Value query = head_output(builder, query_up, "query", model.heads, model.head_dim);

  const Vertex down = append_down_projection(builder, model, "key_value_down", input,
                                             latent.key_value_rank + latent.rope_head_dim);
  const Value latents = append_norm(
      builder, model, "key_value_norm",
      builder.output(down, "key_value_latent", latent.key_value_rank, Spread::Sequence));
  const Value shared_key =
      builder.output(down, "shared_key", latent.rope_head_dim, Spread::Sequence);
  const Vertex up = append_up_projection(builder, model, "key_value_up", latents,
                                         latent.nope_head_dim + latent.value_head_dim);
  const Value key = head_output(builder, up, "key", model.heads, latent.nope_head_dim);
  const Value value = head_output(builder, up, "value", model.heads, latent.value_head_dim);

  const int width = 2 * model.heads * model.head_dim;
  const Vertex rotary = builder.add(on_heads(
      model, {.name = "rotary", .kind = OperatorKind::Rotary, .input = width, .output = width}));
  builder.use(query, rotary, false);
  builder.use(key, rotary, false);
  builder.use(shared_key, rotary, false);
  return {head_output(builder, rotary, "rotated_query", model.heads, model.head_dim),
          head_output(builder, rotary, "rotated_key", model.heads, model.head_dim), value};
}

/// A part of core attention. Widths count elements per token, for scores per token and key.
Operator core(const Transformer& model, int layer, std::string name, OperatorKind kind) {
  Operator op = on_heads(model, {.name = std::move(name), .kind = kind});
  const bool makes_scores = kind == OperatorKind::Attention || kind == OperatorKind::Scores;
  const bool reads_values = kind == OperatorKind::Attention || kind == OperatorKind::Context;
  const bool normalises = kind == OperatorKind::Attention || kind == OperatorKind::Softmax;
  if (model.attention_sinks && normalises) op.replicated_parameters = model.heads;
  op.input = makes_scores ? model.heads * model.head_dim : model.heads;
  op.output = reads_values ? model.heads * model.value_head_dim() : model.heads;
  if (model.windowed(layer)) op.window = model.sliding_window;
  return op;
}

Tensor scores_tensor(const Transformer& model, std::string name, int bytes) {
  return {.name = std::move(name),
          .width = model.heads,
          .bytes_per_element = bytes,
          .spread = Spread::Tensor,
          .units = model.heads,
          .attention_scores = true,
          .core_attention = true};
}

Vertex append_fused_core(GraphBuilder& builder, const Transformer& model, int layer,
                         const Projections& heads) {
  const Vertex attention = builder.add(core(model, layer, "attention", OperatorKind::Attention));
  builder.use(heads.query, attention, true);
  builder.use(heads.key, attention, true);
  builder.use(heads.value, attention, true);
  // log-sum-exp of each row of scores; its dropout is redone from the random state.
  builder.keep(attention, {.name = "statistics",
                           .width = model.heads,
                           .bytes_per_element = 4,
                           .spread = Spread::Tensor,
                           .units = model.heads,
                           .core_attention = true});
  return attention;
}

Vertex append_unfused_core(GraphBuilder& builder, const Transformer& model, int layer,
                           const Projections& heads) {
  const auto scores_output = [&](Vertex producer, std::string name) {
    Value value = builder.output(producer, std::move(name), 0, Spread::Tensor);
    Tensor tensor = scores_tensor(model, value.tensor.name, value.tensor.bytes_per_element);
    tensor.storage = value.tensor.storage;
    value.tensor = tensor;
    return value;
  };
  const Vertex scores = builder.add(core(model, layer, "scores", OperatorKind::Scores));
  builder.use(heads.query, scores, true);
  builder.use(heads.key, scores, true);

  const Vertex softmax = builder.add(core(model, layer, "softmax", OperatorKind::Softmax));
  builder.use(scores_output(scores, "scores"), softmax, false);
  Value probabilities = scores_output(softmax, "probabilities");

  if (model.attention_dropout > 0) {
    const Vertex dropout =
        builder.add(core(model, layer, "probabilities_dropout", OperatorKind::Dropout));
    builder.use(probabilities, dropout, true);  // for the softmax's own backward
    builder.keep(dropout, scores_tensor(model, "mask", 1));
    probabilities = scores_output(dropout, "dropped_probabilities");
  }
  const Vertex context = builder.add(core(model, layer, "context", OperatorKind::Context));
  builder.use(probabilities, context, true);
  builder.use(heads.value, context, true);
  return context;
}

}  // namespace

Value append_attention(GraphBuilder& builder, const Transformer& model, int layer,
                       bool flash_attention, const Value& input) {
  const Projections heads = model.latent_attention
                                ? append_latent_projections(builder, model, input)
                                : append_fused_projection(builder, model, input);
  const Vertex attention = flash_attention ? append_fused_core(builder, model, layer, heads)
                                           : append_unfused_core(builder, model, layer, heads);
  const int width = model.heads * model.value_head_dim();
  const Vertex projection =
      builder.add({.name = "attention_output",
                   .kind = OperatorKind::Gemm,
                   .split = Split::Row,
                   .input = width,
                   .output = model.hidden,
                   .parameters = std::int64_t{width} * model.hidden,
                   .replicated_parameters = model.projection_bias ? model.hidden : 0,
                   .reduces_output = true});
  builder.use(head_output(builder, attention, "context", model.heads, model.value_head_dim()),
              projection, true);
  return builder.output(projection, "attention_output", model.hidden, Spread::Sequence);
}

}  // namespace meshplan::planner
