#include "kernels/cuda/attention_graph.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <utility>

namespace meshplan::kernels::cuda {
namespace {

using Dims = std::array<std::int64_t, 4>;

Dims contiguous(const Dims& dims) {
  return {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
}

class Builder {
 public:
  explicit Builder(const AttentionShape& shape) : shape_(shape) {}

  /// A tensor of heads in memory: [sequence * rows, heads * head_dim] with a stride of rows.
  std::int64_t heads(AttentionTensor id, std::int64_t heads, std::int64_t length, std::int64_t rows,
                     std::int64_t stride) {
    return add({.id = id,
                .dims = {shape_.batch, heads, length, shape_.head_dim},
                .strides = {rows * stride, shape_.head_dim, stride, 1},
                .type = GraphType::Bf16});
  }
  /// The same with rows and columns exchanged.
  std::int64_t transposed_heads(AttentionTensor id, std::int64_t length, std::int64_t rows,
                                std::int64_t stride) {
    return add({.id = id,
                .dims = {shape_.batch, shape_.kv_heads, shape_.head_dim, length},
                .strides = {rows * stride, shape_.head_dim, 1, stride},
                .type = GraphType::Bf16});
  }
  std::int64_t log_sum_exp() {
    const Dims dims = of_rows(1);
    return add({.id = kLogSumExp, .dims = dims, .strides = contiguous(dims)});
  }
  std::int64_t constant(float value) {
    return add({.id = next(), .dims = {1, 1, 1, 1}, .strides = {1, 1, 1, 1}, .value = value});
  }
  std::int64_t add(const GraphTensor& tensor) {
    graph_.tensors.push_back(tensor);
    return tensor.id;
  }

  /// A node whose output exists inside the kernel only.
  std::int64_t apply(GraphOperation operation, std::initializer_list<std::int64_t> inputs,
                     const Dims& dims, GraphType type = GraphType::F32) {
    const std::int64_t output = add({.id = next(),
                                     .dims = dims,
                                     .strides = contiguous(dims),
                                     .type = type,
                                     .is_virtual = true});
    store(operation, inputs, output);
    return output;
  }
  void store(GraphOperation operation, std::initializer_list<std::int64_t> inputs,
             std::int64_t output) {
    graph_.nodes.push_back({operation, inputs, output});
  }
  /// `x` with rows and columns exchanged, as a view; of the storage type.
  std::int64_t transposed(std::int64_t x) {
    GraphTensor view = graph_.tensor(x);
    std::swap(view.dims[2], view.dims[3]);
    std::swap(view.strides[2], view.strides[3]);
    view.id = next();
    view.type = GraphType::Bf16;
    view.is_virtual = true;
    add(view);
    store(GraphOperation::Reshape, {x}, view.id);
    return view.id;
  }

  /// [sequence, head, query, cols] and the scores of all heads.
  [[nodiscard]] Dims of_rows(std::int64_t cols) const {
    return {shape_.batch, shape_.heads, shape_.query_len, cols};
  }
  [[nodiscard]] Dims of_scores() const { return of_rows(shape_.kv_len); }

  /// scale * q k^T, keys after the query's position lowered out of sight.
  std::int64_t masked_scores(std::int64_t q, std::int64_t transposed_k, std::int64_t scale) {
    using enum GraphOperation;
    const Dims dims = of_scores();
    const std::int64_t products = apply(MatrixProduct, {q, transposed_k}, dims);
    const std::int64_t scores = apply(Multiply, {products, scale}, dims);
    if (!shape_.causal) return scores;
    const std::int64_t row = apply(RowIndex, {scores}, dims, GraphType::Int32);
    const std::int64_t column = apply(ColumnIndex, {scores}, dims, GraphType::Int32);
    const std::int64_t seen = apply(GreaterOrEqual, {row, column}, dims, GraphType::Boolean);
    return apply(Select, {scores, constant(std::numeric_limits<float>::lowest()), seen}, dims);
  }

  /// A causal mask on scores that another operation makes and goes on with.
  void mask() {
    const Dims dims = of_scores();
    const std::int64_t scores =
        add({.id = next(), .dims = dims, .strides = contiguous(dims), .is_virtual = true});
    apply(GraphOperation::CausalMask, {scores, constant(std::numeric_limits<float>::lowest())},
          dims);
  }

  AttentionGraph finish() { return std::move(graph_); }

 private:
  std::int64_t next() { return next_++; }

  AttentionShape shape_;
  AttentionGraph graph_;
  std::int64_t next_ = kFirstOther;
};

std::string why_no_graph(const AttentionShape& s, const AttentionDropout& dropout, ElementType type,
                         std::initializer_list<ConstTensorView> tensors) {
  if (type != ElementType::Bf16) return "fp32: cuDNN's flash attention takes 16-bit types";
  if (dropout.drops()) return "dropout of probabilities: cuDNN would draw other numbers than we do";
  if (s.head_dim % 8 != 0) return "head_dim " + std::to_string(s.head_dim) + " is no multiple of 8";
  if (s.causal && s.query_offset != 0)
    return "causal queries at an offset of " + std::to_string(s.query_offset);
  if (s.query_len == 0 || s.kv_len == 0) return "no queries or no keys";
  for (const ConstTensorView& view : tensors)
    if (reinterpret_cast<std::uintptr_t>(view.data) % 16 != 0 || view.row_stride % 8 != 0)
      return "a tensor that does not lie on 16 bytes";
  return "";
}

}  // namespace

const GraphTensor& AttentionGraph::tensor(std::int64_t id) const {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const GraphTensor& tensor) { return tensor.id == id; });
}

AttentionLayout layout_of(const AttentionForward& op) {
  return {.shape = op.shape,
          .q = op.q.row_stride,
          .k = op.k.row_stride,
          .v = op.v.row_stride,
          .out = op.out.row_stride,
          .key_rows = op.k.rows / op.shape.batch,
          .value_rows = op.v.rows / op.shape.batch};
}

AttentionLayout layout_of(const AttentionBackward& op) {
  return {.shape = op.shape,
          .q = op.q.row_stride,
          .k = op.k.row_stride,
          .v = op.v.row_stride,
          .out = op.out.row_stride,
          .dout = op.dout.row_stride,
          .dq = op.dq.row_stride,
          .dk = op.dk.row_stride,
          .dv = op.dv.row_stride,
          .key_rows = op.k.rows / op.shape.batch,
          .value_rows = op.v.rows / op.shape.batch,
          .dkey_rows = op.dk.rows / op.shape.batch,
          .dvalue_rows = op.dv.rows / op.shape.batch};
}

std::string why_no_graph(const AttentionForward& op) {
  return why_no_graph(op.shape, op.dropout, op.q.type, {op.q, op.k, op.v, op.out});
}

std::string why_no_graph(const AttentionBackward& op) {
  return why_no_graph(op.shape, op.dropout, op.q.type,
                      {op.q, op.k, op.v, op.out, op.dout, op.dq, op.dk, op.dv});
}

AttentionGraph forward_graph(const AttentionLayout& layout) {
  using enum GraphOperation;
  const AttentionShape& s = layout.shape;
  Builder build(s);
  const std::int64_t q = build.heads(kQuery, s.heads, s.query_len, s.query_len, layout.q);
  const std::int64_t k = build.transposed_heads(kKey, s.kv_len, layout.key_rows, layout.k);
  const std::int64_t v = build.heads(kValue, s.kv_heads, s.kv_len, layout.value_rows, layout.v);
  const std::int64_t out = build.heads(kOut, s.heads, s.query_len, s.query_len, layout.out);
  const std::int64_t log_sum_exp = build.log_sum_exp();
  const Dims scores_dims = build.of_scores(), row_dims = build.of_rows(1);

  const std::int64_t scores = build.masked_scores(q, k, build.constant(s.scale));
  const std::int64_t max = build.apply(MaxOfReduced, {scores}, row_dims);
  const std::int64_t below = build.apply(Subtract, {scores, max}, scores_dims);
  const std::int64_t exponentials = build.apply(Exponential, {below}, scores_dims);
  const std::int64_t sum = build.apply(SumOfReduced, {exponentials}, row_dims);
  const std::int64_t logarithm = build.apply(Logarithm, {sum}, row_dims);
  build.store(Add, {max, logarithm}, log_sum_exp);
  const std::int64_t p = build.apply(Divide, {exponentials, sum}, scores_dims, GraphType::Bf16);
  build.store(MatrixProduct, {p, v}, out);
  return build.finish();
}

AttentionGraph single_forward_graph(const AttentionLayout& layout) {
  using enum GraphOperation;
  const AttentionShape& s = layout.shape;
  Builder build(s);
  const std::int64_t q = build.heads(kQuery, s.heads, s.query_len, s.query_len, layout.q);
  const std::int64_t k = build.heads(kKey, s.kv_heads, s.kv_len, layout.key_rows, layout.k);
  const std::int64_t v = build.heads(kValue, s.kv_heads, s.kv_len, layout.value_rows, layout.v);
  const std::int64_t out = build.heads(kOut, s.heads, s.query_len, s.query_len, layout.out);
  const std::int64_t log_sum_exp = build.log_sum_exp();
  if (s.causal) build.mask();
  build.store(Attention, {q, k, v, build.constant(s.scale), log_sum_exp}, out);
  return build.finish();
}

AttentionGraph backward_graph(const AttentionLayout& layout) {
  using enum GraphOperation;
  const AttentionShape& s = layout.shape;
  Builder build(s);
  const std::int64_t q = build.heads(kQuery, s.heads, s.query_len, s.query_len, layout.q);
  const std::int64_t k = build.transposed_heads(kKey, s.kv_len, layout.key_rows, layout.k);
  const std::int64_t v = build.transposed_heads(kValue, s.kv_len, layout.value_rows, layout.v);
  const std::int64_t out = build.heads(kOut, s.heads, s.query_len, s.query_len, layout.out);
  const std::int64_t dout = build.heads(kDout, s.heads, s.query_len, s.query_len, layout.dout);
  const std::int64_t dq = build.heads(kDquery, s.heads, s.query_len, s.query_len, layout.dq);
  const std::int64_t dk = build.heads(kDkey, s.kv_heads, s.kv_len, layout.dkey_rows, layout.dk);
  const std::int64_t dv = build.heads(kDvalue, s.kv_heads, s.kv_len, layout.dvalue_rows, layout.dv);
  const std::int64_t log_sum_exp = build.log_sum_exp();
  const Dims scores_dims = build.of_scores(), row_dims = build.of_rows(1);
  const Dims of_queries = build.of_rows(s.head_dim);
  const std::int64_t dq_sum = build.add(
      {.id = kDquerySum, .dims = of_queries, .strides = contiguous(of_queries), .reordered = true});
  // The pattern has room for dropout, which is multiplied by 1 where there is none.
  const std::int64_t one = build.constant(1.0F), scale = build.constant(s.scale);

  // correction = dout . out
  const std::int64_t products = build.apply(Multiply, {dout, out}, of_queries);
  const std::int64_t reduced = build.apply(SumOfReduced, {products}, row_dims);
  const std::int64_t correction = build.apply(Multiply, {reduced, one}, row_dims);

  // p = exp(scores - log_sum_exp), dv = p^T dout
  const std::int64_t scores = build.masked_scores(q, k, scale);
  const std::int64_t below = build.apply(Subtract, {scores, log_sum_exp}, scores_dims);
  const std::int64_t p = build.apply(Exponential, {below}, scores_dims);
  const auto add_up = [&](std::int64_t transposed, std::int64_t rows, std::int64_t gradient) {
    if (s.heads == s.kv_heads) return build.store(MatrixProduct, {transposed, rows}, gradient);
    // One of each query head, summed over the heads that share a key head.
    const std::int64_t of_heads =
        build.apply(MatrixProduct, {transposed, rows}, {s.batch, s.heads, s.kv_len, s.head_dim},
                    GraphType::Bf16);
    build.store(SumOfReduced, {of_heads}, gradient);
  };
  add_up(build.transposed(p), dout, dv);

  // ds = scale p (dout v^T - correction), dk = ds^T q, dq = ds k
  const std::int64_t dp = build.apply(MatrixProduct, {dout, v}, scores_dims);
  const std::int64_t kept = build.apply(Multiply, {dp, one}, scores_dims);
  const std::int64_t corrected = build.apply(Subtract, {kept, correction}, scores_dims);
  const std::int64_t weighted = build.apply(Multiply, {corrected, p}, scores_dims);
  const std::int64_t ds = build.apply(Multiply, {weighted, scale}, scores_dims);
  add_up(build.transposed(ds), q, dk);
  build.store(MatrixProduct, {ds, build.transposed(k)}, dq_sum);
  build.store(Identity, {dq_sum}, dq);
  return build.finish();
}

}  // namespace meshplan::kernels::cuda
