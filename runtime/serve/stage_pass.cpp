#include "runtime/serve/stage_pass.h"

#include <algorithm>
#include <limits>

#include "runtime/execute/norm.h"
#include "runtime/execute/tensor_parallel.h"

namespace meshplan::runtime {
namespace {

using kernels::TensorView;

constexpr MemoryTerm kTransient = MemoryTerm::Workspace;

Tensor normed(ServingContext& context, const Weight& scale, const Weight& shift, const Tensor& x) {
  NormSaved statistics;
  return norm_forward(context, scale, shift, x, statistics);
}

/// y <- y + bias + residual
void add(const ServingContext& context, const Tensor& y, const Weight& bias,
         const Tensor& residual) {
  if (!bias.empty()) context.run(kernels::BiasForward{y.view(), bias.value, y.view()});
  context.run(kernels::ResidualAdd{y.view(), residual.view(), y.view()});
}

TensorView rows_of(const TensorView& all, const Batch& batch) {
  return kernels::rows(all, batch.row, std::int64_t{batch.sequences} * batch.tokens);
}

void rotate(const ServingContext& context, const TensorView& x, const Batch& batch) {
  if (context.rotary.cosine.empty()) return;
  const TensorView mine = rows_of(x, batch);
  context.run(kernels::Rotary{.x = mine,
                              .y = mine,
                              .cosine = context.rotary.cosine.view(),
                              .sine = context.rotary.sine.view(),
                              .head_dim = context.model().head_dim,
                              .sequence_len = batch.tokens,
                              .first_position = batch.first});
}

Tensor attended(ServingContext& context, const TensorView& queries, int layer,
                const std::vector<Batch>& batches, const KvCache& cache) {
  const Tensor out = context.activation(queries.rows, queries.cols, kTransient);
  kernels::AttentionShape shape = attention_heads(context);
  for (const Batch& batch : batches) {
    shape.batch = batch.sequences;
    shape.query_len = batch.tokens;
    shape.query_offset = batch.first;
    shape.kv_len = batch.first + batch.tokens;
    const Tensor statistics =
        context.tensor(1, shape.batch * shape.heads * shape.query_len, kTransient);
    context.run(kernels::AttentionForward{.shape = shape,
                                          .q = rows_of(queries, batch),
                                          .k = cache.keys(layer, batch),
                                          .v = cache.values(layer, batch),
                                          .out = rows_of(out.view(), batch),
                                          .log_sum_exp = statistics.elements()});
  }
  return out;
}

}  // namespace

void ServingContext::begin(Piece piece) const {
  recorder.begin_instruction(
      step, kPieces * microbatch + static_cast<int>(piece),
      piece == Piece::Host ? planner::Term::Overhead : planner::Term::Compute);
}

Tensor decoder_layer(ServingContext& context, const LayerParameters& p, int layer,
                     const Tensor& input, const std::vector<Batch>& batches, const KvCache& cache) {
  Tensor middle;
  {
    Tensor qkv = product(context, normed(context, p.norm1, p.norm1_shift, input), p.qkv, p.qkv_bias,
                         kTransient);
    const QueryKeyValue parts = query_key_value(context, qkv);
    for (const Batch& batch : batches) {
      rotate(context, parts.q, batch);
      rotate(context, parts.k, batch);
      cache.append(context, layer, batch, parts.k, parts.v);
    }
    context.turn_to(Piece::Attention);
    const Tensor heads = attended(context, parts.q, layer, batches, cache);
    context.turn_to(Piece::Matrices);
    middle = reduced(context, product(context, heads, p.projection, {}, kTransient), kTransient);
  }
  add(context, middle, p.projection_bias, input);

  Tensor activated;
  {
    const Tensor up = product(context, normed(context, p.norm2, p.norm2_shift, middle), p.up,
                              p.up_bias, kTransient);
    activated = activate(context, up);
  }
  Tensor output = reduced(context, product(context, activated, p.down, {}, kTransient), kTransient);
  add(context, output, p.down_bias, middle);
  return output;
}

Tensor last_rows(ServingContext& context, const Tensor& x, const std::vector<Batch>& batches) {
  int rows = 0;
  for (const Batch& batch : batches) rows += batch.gives_token ? batch.sequences : 0;
  if (rows == x.rows()) return x;
  const Tensor out = context.activation(rows, x.cols(), kTransient);
  int row = 0;
  for (const Batch& batch : batches) {
    if (!batch.gives_token) continue;
    // The last of every batch.tokens rows.
    TensorView last = kernels::rows(x.view(), batch.row + batch.tokens - 1, batch.sequences);
    last.row_stride *= batch.tokens;
    context.run(kernels::Copy{last, kernels::rows(out.view(), row, batch.sequences)});
    row += batch.sequences;
  }
  return out;
}

std::vector<GeneratedToken> greedy_tokens(ServingContext& context, const HeadParameters& p,
                                          const Tensor& x) {
  const std::int64_t n = x.rows(), words = context.model().vocab;
  const int tp = context.layout().tp;
  // Shares of the vocabulary differ by one; gathered parts must not.
  const std::int64_t width = (words + tp - 1) / tp;
  const Tensor mine = context.tensor(n, width, kTransient);
  context.run(kernels::Gemm{.a = normed(context, p.norm, p.norm_shift, x).view(),
                            .b = p.classes.value,
                            .c = kernels::columns(mine.view(), 0, p.classes.value.rows),
                            .transpose_b = true,
                            .bias = p.bias.value});
  Tensor all = mine;
  if (tp > 1) {
    all = context.tensor(tp * n, width, MemoryTerm::Communication);
    Communicator& group = *context.groups.tp;
    context.recorder.exposed(planner::Term::TensorParallel, group,
                             [&] { group.all_gather(mine.buffer(), all.buffer()); });
  }
  context.turn_to(Piece::Host);
  std::vector<float> logits(static_cast<std::size_t>(tp * n * width));
  context.device.download(all.memory(), std::as_writable_bytes(std::span(logits)));
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  std::vector<GeneratedToken> out(static_cast<std::size_t>(n), {-1, kLowest, -1, kLowest});
  for (int part = 0; part < tp; ++part) {
    const std::int64_t begin = part_begin(words, tp, part), end = part_begin(words, tp, part + 1);
    for (std::int64_t r = 0; r < n; ++r) {
      const float* row = logits.data() + (part * n + r) * width;
      GeneratedToken& best = out[static_cast<std::size_t>(r)];
      for (std::int64_t word = begin; word < end; ++word) {
        const float logit = row[word - begin];
        if (logit <= best.runner_up_logit) continue;
        const auto token = static_cast<std::int32_t>(word);
        if (logit > best.logit) {
          best = {token, logit, best.token, best.logit};
        } else {
          best.runner_up = token;
          best.runner_up_logit = logit;
        }
      }
    }
  }
  return out;
}

}  // namespace meshplan::runtime
