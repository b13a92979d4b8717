#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/attention.h"

namespace meshplan::kernels::cuda {

// Attention as the graph of small operations that cuDNN recognises and runs as one kernel. Plain
// data, so that it can be read without cuDNN: fused_attention_cudnn.cpp hands it over, tests
// evaluate it. Source of the pattern: NVIDIA's cudnn-frontend, node
// scaled_dot_product_flash_attention.

enum class GraphType : std::uint8_t { F32, Bf16, Int32, Boolean };

/// Dimensions: sequence, head, row, column.
struct GraphTensor {
  std::int64_t id = 0;
  std::array<std::int64_t, 4> dims{}, strides{};
  GraphType type = GraphType::F32;
  bool is_virtual = false;       ///< exists inside the kernel only
  std::optional<float> value{};  ///< a constant
  bool reordered = false;        ///< in tiles of 16 x 16, as the kernel that adds to it likes
};

enum class GraphOperation : std::uint8_t {
  MatrixProduct,
  Multiply,
  Subtract,
  Add,
  Divide,
  Exponential,
  Logarithm,
  Identity,
  RowIndex,  ///< of each element of the input
  ColumnIndex,
  GreaterOrEqual,
  Select,        ///< inputs: where true, where false, condition
  SumOfReduced,  ///< over the dimensions in which the output has extent 1 or a divisor
  MaxOfReduced,
  Reshape,    ///< the same elements with rows and columns exchanged
  Attention,  ///< all of it; inputs: queries, keys, values, scale, and log_sum_exp, which it writes
  CausalMask  ///< of the scores inside it; inputs: scores, and what a key out of sight gets
};

struct GraphNode {
  GraphOperation operation = GraphOperation::Identity;
  std::vector<std::int64_t> inputs;
  std::int64_t output = 0;
};

struct AttentionGraph {
  std::vector<GraphTensor> tensors;
  std::vector<GraphNode> nodes;

  [[nodiscard]] const GraphTensor& tensor(std::int64_t id) const;
};

/// Ids of the tensors that memory is bound to.
enum AttentionTensor : std::int64_t {
  kQuery = 1,
  kKey,
  kValue,
  kOut,
  kLogSumExp,
  kDout,
  kDquery,
  kDkey,
  kDvalue,
  kDquerySum,  ///< fp32, cleared before the kernel adds to it
  kFirstOther = 100,
};

/// Where the tensors lie: strides of rows in elements, and rows a sequence of keys.
struct AttentionLayout {
  AttentionShape shape;
  std::int64_t q = 0, k = 0, v = 0, out = 0, dout = 0, dq = 0, dk = 0, dv = 0;
  std::int64_t key_rows = 0, value_rows = 0, dkey_rows = 0, dvalue_rows = 0;

  bool operator==(const AttentionLayout&) const = default;
};
AttentionLayout layout_of(const AttentionForward& op);
AttentionLayout layout_of(const AttentionBackward& op);

/// "" if the graph states this attention, else why not: causal queries that do not begin with the
/// first key, heads of no multiple of 8, fp32, tensors that do not lie on 16 bytes.
std::string why_no_graph(const AttentionForward& op);
std::string why_no_graph(const AttentionBackward& op);

AttentionGraph forward_graph(const AttentionLayout& layout);
/// The same as cuDNN's single operation. A causal mask is a graph of its own inside it, which cuDNN
/// has from 9.21 on; up to 9.20 the operation masks whole blocks of keys at most (cudnn_graph.h).
AttentionGraph single_forward_graph(const AttentionLayout& layout);
AttentionGraph backward_graph(const AttentionLayout& layout);

}  // namespace meshplan::kernels::cuda
