// The two ends of the model: token ids to the residual stream, and the residual stream to the loss.
#include "planner/model/graph_builder.h"

namespace meshplan::planner {

using Value = GraphBuilder::Value;
using Vertex = GraphBuilder::Vertex;

namespace {

/// OPT-350m: between the narrower embedding and the residual stream, no bias.
Value append_embedding_projection(GraphBuilder& builder, std::string name, const Value& input,
                                  int width) {
  const int from = static_cast<int>(input.tensor.width);
  const Vertex projection = builder.add({.name = std::move(name),
                                         .kind = OperatorKind::Gemm,
                                         .split = Split::Sequence,
                                         .input = from,
                                         .output = width,
                                         .replicated_parameters = std::int64_t{from} * width});
  builder.use(input, projection, true);
  return builder.output(projection, "projected", width, Spread::Sequence);
}

}  // namespace

OperatorGraph embedding_operators(const Transformer& model, profiles::DataType data_type) {
  GraphBuilder builder(data_type);
  const Vertex start = builder.add({.name = "input", .kind = OperatorKind::Input});
  Value ids = builder.output(start, "token_ids", 1, Spread::Replicated);
  ids.tensor.bytes_per_element = 8;

  const Vertex embedding =
      builder.add({.name = "embedding",
                   .kind = OperatorKind::Embedding,
                   .split = Split::Vocabulary,
                   .input = model.vocab,
                   .output = model.embedding_width,
                   .parameters = std::int64_t{model.vocab} * model.embedding_width,
                   .reduces_output = true});
  builder.use(ids, embedding, true);
  Value stream = builder.output(embedding, "embedded", model.embedding_width, Spread::Sequence);
  if (model.embedding_width != model.hidden) {
    stream = append_embedding_projection(builder, "project_in", stream, model.hidden);
  }
  if (model.position == PositionKind::Learned) {
    const Vertex positions = builder.add(
        {.name = "position_embedding",
         .kind = OperatorKind::Embedding,
         .split = Split::Sequence,
         .input = model.learned_positions,
         .output = model.hidden,
         .replicated_parameters = std::int64_t{model.learned_positions} * model.hidden});
    builder.use(stream, positions, false);
    stream = builder.output(positions, "positioned", model.hidden, Spread::Sequence);
  }
  if (model.embedding_norm) stream = append_norm(builder, model, "embedding_norm", stream);
  if (model.dropout > 0) {
    const Vertex dropout = builder.add({.name = "embedding_dropout",
                                        .kind = OperatorKind::Dropout,
                                        .split = Split::Sequence,
                                        .input = model.hidden,
                                        .output = model.hidden});
    builder.use(stream, dropout, false);
    builder.keep_mask(dropout, model.hidden, Spread::Sequence);
    stream = builder.output(dropout, "embedding_dropped", model.hidden, Spread::Sequence);
  }
  return builder.finish(stream);
}

OperatorGraph head_operators(const Transformer& model, profiles::DataType data_type) {
  GraphBuilder builder(data_type);
  const Vertex start = builder.add({.name = "input", .kind = OperatorKind::Input});
  Value stream = builder.output(start, "head_input", model.hidden, Spread::Sequence);
  if (model.final_norm) stream = append_norm(builder, model, "final_norm", stream);
  if (model.embedding_width != model.hidden) {
    stream = append_embedding_projection(builder, "project_out", stream, model.embedding_width);
  }
  const std::int64_t weight = std::int64_t{model.vocab} * model.embedding_width;
  const Vertex head = builder.add(
      {.name = "head",
       .kind = OperatorKind::Gemm,
       .split = Split::Vocabulary,
       .input = model.embedding_width,
       .output = model.vocab,
       .parameters = (model.tied_embeddings ? 0 : weight) + (model.head_bias ? model.vocab : 0),
       .tied_parameters = model.tied_embeddings ? weight : 0,
       .gathers_input = true});
  builder.use(stream, head, true);

  const Vertex loss = builder.add({.name = "loss",
                                   .kind = OperatorKind::Loss,
                                   .split = Split::Vocabulary,
                                   .input = model.vocab,
                                   .output = 1});
  Value logits = builder.output(head, "logits", model.vocab, Spread::Tensor);
  logits.tensor.units = model.vocab;
  builder.use(logits, loss, false);
  // The vocabulary-parallel loss turns its fp32 copy of the logits into the saved softmax in place.
  builder.keep(loss, {.name = "softmax",
                      .width = model.vocab,
                      .bytes_per_element = 4,
                      .spread = Spread::Tensor,
                      .units = model.vocab});
  Value result = builder.output(loss, "loss", 1, Spread::Replicated);
  result.tensor.bytes_per_element = 4;
  return builder.finish(result);
}

}  // namespace meshplan::planner
