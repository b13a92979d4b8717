// The graphs that cuDNN is given, evaluated node by node: they are attention and its gradient, and
// name every tensor's place in memory.
#include "kernels/cuda/attention_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "kernels/bf16.h"
#include "kernels/reference/kernels.h"
#include "tests/kernels/arena.h"

namespace meshplan::kernels::testing {
namespace {

using cuda::AttentionGraph;
using cuda::GraphNode;
using cuda::GraphOperation;
using cuda::GraphTensor;
using cuda::GraphType;
using Index = std::array<std::int64_t, 4>;

/// Every tensor as an array of doubles in the order of its dimensions.
class Evaluation {
 public:
  Evaluation(const AttentionGraph& graph, const std::map<std::int64_t, void*>& memory)
      : graph_(graph), memory_(memory) {
    for (const GraphTensor& tensor : graph.tensors) {
      std::vector<double>& values = values_[tensor.id];
      values.assign(static_cast<std::size_t>(elements(tensor)), tensor.value.value_or(0.0F));
      if (tensor.is_virtual || tensor.value || !memory_.contains(tensor.id)) continue;
      for_each(tensor, [&](const Index& i) { at(tensor, i) = read(tensor, i); });
    }
    for (const GraphNode& node : graph.nodes) evaluate(node);
  }

  void write_outputs() {
    for (const GraphNode& node : graph_.nodes) {
      const GraphTensor& tensor = graph_.tensor(node.output);
      if (tensor.is_virtual || !memory_.contains(tensor.id)) continue;
      for_each(tensor, [&](const Index& i) { write(tensor, i, at(tensor, i)); });
    }
  }

 private:
  static std::int64_t elements(const GraphTensor& t) {
    return t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3];
  }
  template <class Visit>
  static void for_each(const GraphTensor& t, Visit visit) {
    Index i{};
    for (i[0] = 0; i[0] < t.dims[0]; ++i[0])
      for (i[1] = 0; i[1] < t.dims[1]; ++i[1])
        for (i[2] = 0; i[2] < t.dims[2]; ++i[2])
          for (i[3] = 0; i[3] < t.dims[3]; ++i[3]) visit(i);
  }
  double& at(const GraphTensor& t, const Index& i) {
    return values_[t.id][static_cast<std::size_t>(
        ((i[0] * t.dims[1] + i[1]) * t.dims[2] + i[2]) * t.dims[3] + i[3])];
  }
  /// The element that stands for `i` of a tensor of `dims`: dimensions of extent 1 are repeated,
  /// and so is a key head for the query heads of its group.
  static Index mapped(const Index& i, const Index& dims, const Index& to) {
    Index j{};
    for (std::size_t d = 0; d < 4; ++d) j[d] = i[d] * to[d] / dims[d];
    return j;
  }
  static std::int64_t offset(const GraphTensor& t, const Index& i) {
    std::int64_t sum = 0;
    for (std::size_t d = 0; d < 4; ++d) sum += i[d] * t.strides[d];
    return sum;
  }
  double read(const GraphTensor& t, const Index& i) {
    const void* data = memory_.at(t.id);
    if (t.type == GraphType::Bf16) return to_float(static_cast<const Bf16*>(data)[offset(t, i)]);
    return static_cast<const float*>(data)[offset(t, i)];
  }
  void write(const GraphTensor& t, const Index& i, double value) {
    void* data = memory_.at(t.id);
    if (t.type == GraphType::Bf16)
      static_cast<Bf16*>(data)[offset(t, i)] = to_bf16(static_cast<float>(value));
    else
      static_cast<float*>(data)[offset(t, i)] = static_cast<float>(value);
  }

  void evaluate(const GraphNode& node) {
    const GraphTensor& y = graph_.tensor(node.output);
    const GraphTensor& x = graph_.tensor(node.inputs[0]);
    switch (node.operation) {
      case GraphOperation::MatrixProduct: {
        const GraphTensor& b = graph_.tensor(node.inputs[1]);
        ASSERT_EQ(x.dims[3], b.dims[2]);
        for_each(y, [&](const Index& i) {
          double sum = 0;
          for (std::int64_t k = 0; k < x.dims[3]; ++k)
            sum +=
                at(x, {i[0], i[1], i[2], k}) * at(b, {i[0], i[1] * b.dims[1] / y.dims[1], k, i[3]});
          at(y, i) = sum;
        });
        break;
      }
      case GraphOperation::SumOfReduced:
        for_each(y, [&](const Index& i) { at(y, i) = 0; });
        for_each(x, [&](const Index& i) { at(y, mapped(i, x.dims, y.dims)) += at(x, i); });
        break;
      case GraphOperation::MaxOfReduced:
        for_each(y, [&](const Index& i) { at(y, i) = -HUGE_VAL; });
        for_each(x, [&](const Index& i) {
          double& max = at(y, mapped(i, x.dims, y.dims));
          max = std::max(max, at(x, i));
        });
        break;
      case GraphOperation::Reshape:
        // A view: element (r, c) of one is (c, r) of the other.
        ASSERT_EQ(x.dims[2], y.dims[3]);
        ASSERT_EQ(x.strides[2], y.strides[3]);
        ASSERT_EQ(x.strides[3], y.strides[2]);
        for_each(y, [&](const Index& i) { at(y, i) = at(x, {i[0], i[1], i[3], i[2]}); });
        break;
      default:
        for_each(y, [&](const Index& i) { at(y, i) = pointwise(node, y, i); });
    }
    if (y.type == GraphType::Bf16 && y.is_virtual)
      for (double& value : values_[y.id]) value = to_float(to_bf16(static_cast<float>(value)));
  }

  double pointwise(const GraphNode& node, const GraphTensor& y, const Index& i) {
    const auto input = [&](std::size_t n) {
      const GraphTensor& tensor = graph_.tensor(node.inputs[n]);
      return at(tensor, mapped(i, y.dims, tensor.dims));
    };
    switch (node.operation) {
      case GraphOperation::Multiply:
        return input(0) * input(1);
      case GraphOperation::Subtract:
        return input(0) - input(1);
      case GraphOperation::Add:
        return input(0) + input(1);
      case GraphOperation::Divide:
        return input(0) / input(1);
      case GraphOperation::Exponential:
        return std::exp(input(0));
      case GraphOperation::Logarithm:
        return std::log(input(0));
      case GraphOperation::RowIndex:
        return static_cast<double>(i[2]);
      case GraphOperation::ColumnIndex:
        return static_cast<double>(i[3]);
      case GraphOperation::GreaterOrEqual:
        return input(0) >= input(1) ? 1 : 0;
      case GraphOperation::Select:
        return input(2) != 0 ? input(0) : input(1);
      default:
        return input(0);
    }
  }

  const AttentionGraph& graph_;
  std::map<std::int64_t, void*> memory_;
  std::map<std::int64_t, std::vector<double>> values_;
};

AttentionShape shape_of(bool causal, std::int64_t kv_heads, std::int64_t kv_len) {
  return {.batch = 2,
          .heads = 4,
          .kv_heads = kv_heads,
          .head_dim = 8,
          .query_len = 6,
          .kv_len = kv_len,
          .causal = causal,
          .scale = 0.35F};
}

AttentionForward forward_of(const AttentionShape& s, Arena& arena) {
  // Room for two more keys a sequence; probabilities are rounded to bf16: 2^-9 of at most |v| = 4.
  const std::int64_t key_rows = s.batch * (s.kv_len + 2);
  AttentionForward op;
  op.shape = s;
  op.q = arena.random(s.batch * s.query_len, s.heads * s.head_dim, ElementType::Bf16);
  op.k = arena.random(key_rows, s.kv_heads * s.head_dim, ElementType::Bf16);
  op.v = arena.random(key_rows, s.kv_heads * s.head_dim, ElementType::Bf16);
  op.out = arena.output(op.q.rows, op.q.cols, ElementType::Bf16, {0x1p-7, 0});
  op.log_sum_exp = arena.output_vector(s.batch * s.heads * s.query_len, {1e-5, 1e-5});
  return op;
}

std::map<std::int64_t, void*> memory_of(const AttentionForward& op) {
  return {{cuda::kQuery, const_cast<void*>(op.q.data)},
          {cuda::kKey, const_cast<void*>(op.k.data)},
          {cuda::kValue, const_cast<void*>(op.v.data)},
          {cuda::kOut, op.out.data},
          {cuda::kLogSumExp, op.log_sum_exp.data()}};
}

class AttentionGraphOf : public ::testing::TestWithParam<AttentionShape> {};

TEST_P(AttentionGraphOf, ForwardIsAttention) {
  Arena expected(5, RowLayout::Aligned), found(5, RowLayout::Aligned);
  reference::Queue oracle;
  reference::run(forward_of(GetParam(), expected), oracle);
  const AttentionForward op = forward_of(GetParam(), found);
  ASSERT_EQ(cuda::why_no_graph(op), "");
  const AttentionGraph graph = cuda::forward_graph(cuda::layout_of(op));
  Evaluation(graph, memory_of(op)).write_outputs();
  EXPECT_EQ(found.difference(expected), "");
}

TEST_P(AttentionGraphOf, BackwardIsItsGradient) {
  reference::Queue oracle;
  const auto backward_of = [&](Arena& arena) {
    const AttentionForward forward = forward_of(GetParam(), arena);
    reference::run(forward, oracle);
    AttentionBackward op;
    op.shape = GetParam();
    op.q = forward.q;
    op.k = forward.k;
    op.v = forward.v;
    op.out = forward.out;
    op.log_sum_exp = forward.log_sum_exp;
    op.dout = arena.random(op.q.rows, op.q.cols, ElementType::Bf16);
    // p and ds are rounded to bf16; sums of a few products of order 4.
    op.dq = arena.output(op.q.rows, op.q.cols, ElementType::Bf16, {0x1p-5, 0});
    op.dk = arena.output(op.k.rows, op.k.cols, ElementType::Bf16, {0x1p-5, 0});
    op.dv = arena.output(op.v.rows, op.v.cols, ElementType::Bf16, {0x1p-5, 0});
    return op;
  };
  Arena expected(5, RowLayout::Aligned), found(5, RowLayout::Aligned);
  reference::run(backward_of(expected), oracle);
  const AttentionBackward op = backward_of(found);
  ASSERT_EQ(cuda::why_no_graph(op), "");
  const AttentionGraph graph = cuda::backward_graph(cuda::layout_of(op));
  Evaluation(graph, {{cuda::kQuery, const_cast<void*>(op.q.data)},
                     {cuda::kKey, const_cast<void*>(op.k.data)},
                     {cuda::kValue, const_cast<void*>(op.v.data)},
                     {cuda::kOut, const_cast<void*>(op.out.data)},
                     {cuda::kLogSumExp, const_cast<float*>(op.log_sum_exp.data())},
                     {cuda::kDout, const_cast<void*>(op.dout.data)},
                     {cuda::kDquery, op.dq.data},
                     {cuda::kDkey, op.dk.data},
                     {cuda::kDvalue, op.dv.data}})
      .write_outputs();
  EXPECT_EQ(found.difference(expected), "");
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionGraphOf,
                         ::testing::Values(shape_of(true, 4, 6), shape_of(false, 4, 9),
                                           shape_of(true, 2, 6), shape_of(false, 1, 5)));

TEST(AttentionGraph, IsRefusedWithAReason) {
  Arena arena(1, RowLayout::Aligned);
  AttentionForward op = forward_of(shape_of(true, 4, 6), arena);
  op.shape.query_offset = 3;
  EXPECT_EQ(cuda::why_no_graph(op), "causal queries at an offset of 3");
  op.shape.query_offset = 0;
  op.shape.head_dim = 43;
  EXPECT_EQ(cuda::why_no_graph(op), "head_dim 43 is no multiple of 8");
  op.shape.head_dim = 8;
  op.q.type = ElementType::F32;
  EXPECT_EQ(cuda::why_no_graph(op), "fp32: cuDNN's flash attention takes 16-bit types");
  op.q.type = ElementType::Bf16;
  op.dropout = {.probability = 0.1F, .model_heads = 4};
  EXPECT_EQ(cuda::why_no_graph(op),
            "dropout of probabilities: cuDNN would draw other numbers than we do");
  op.dropout = {};
  op.q.row_stride += 1;
  EXPECT_EQ(cuda::why_no_graph(op), "a tensor that does not lie on 16 bytes");
}

}  // namespace
}  // namespace meshplan::kernels::testing
