#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "runtime/device/tensor.h"
#include "runtime/execute/groups.h"
#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// A matrix that operations use, and where its gradient adds up. Fused ones (q|k|v, gate|up) hold
/// several parameters side by side.
struct Weight {
  kernels::TensorView value, gradient;
  [[nodiscard]] bool empty() const { return value.empty(); }
};

/// One layer's share of one tensor-parallel rank. With t = tp, H and K query and key heads per
/// rank, d = head_dim, f = ffn / t; g = 2 for gated activations, else 1. Absent ones are empty.
struct LayerParameters {
  Weight norm1, norm1_shift;           ///< [1, hidden]
  Weight qkv, qkv_bias;                ///< [hidden, (H + 2K) d], [1, (H + 2K) d]
  Weight projection, projection_bias;  ///< [H d, hidden], [1, hidden]
  Weight norm2, norm2_shift;           ///< [1, hidden]
  Weight up, up_bias;                  ///< [hidden, g f]: gate | up, or up alone
  Weight down, down_bias;              ///< [f, hidden], [1, hidden]
};

struct EmbeddingParameters {
  Weight tokens;     ///< [vocab / t, hidden]
  Weight positions;  ///< [learned positions, hidden]; empty: rotary
};

struct HeadParameters {
  Weight norm, norm_shift;  ///< [1, hidden]
  Weight classes;           ///< [vocab / t, hidden]: logits = x classes^T
  Weight bias;              ///< [1, vocab / t]
};

/// How the tensor-parallel ranks hold a parameter.
enum class Copies : std::uint8_t {
  None,         ///< each holds its own part
  AllRanks,     ///< each holds all of it
  SameKvHeads,  ///< ranks that share key and value heads hold the same part
};

/// A parameter as the model names it: for gathering, and for drawing its first values.
struct Parameter {
  std::string name;                 ///< "layer 3 key"
  std::uint64_t index = 0;          ///< in the whole model; the stream of its random numbers
  std::int64_t rows = 0, cols = 0;  ///< of the whole
  std::int64_t first_row = 0, first_col = 0;
  Copies copies = Copies::None;
  Weight part;       ///< what this rank holds, from (first_row, first_col) on
  float stddev = 0;  ///< 0: every element is `mean`
  float mean = 0;
  int segment = 0;
};

/// Parameters that are reduced and updated together: one flat buffer, cut in `buckets` equal
/// pieces; bucket 0 is the last piece, whose gradients are ready first. Under ZeRO-1 every bucket
/// is cut again in one shard a data-parallel rank.
struct Segment {
  Tensor values;                               ///< [1, size], as operations read them
  Tensor gradients;                            ///< [1, size] F32
  Tensor master, first_moment, second_moment;  ///< [1, size / shards] F32; no master in fp32
  int buckets = 1;
  int shards = 1;
  bool tied_table = false;  ///< token table that the first and last stage both hold

  [[nodiscard]] std::int64_t size() const { return values.cols(); }
  [[nodiscard]] std::int64_t bucket_size() const { return size() / buckets; }
  [[nodiscard]] Buffer bucket(const Tensor& whole, int b) const {
    return whole.buffer().part((buckets - 1 - b) * bucket_size(), bucket_size());
  }
  /// The part of a bucket that rank `shard` updates.
  [[nodiscard]] Buffer shard(const Tensor& whole, int b, int shard) const {
    return bucket(whole, b).part(shard * (bucket_size() / shards), bucket_size() / shards);
  }
  /// Master or moments of bucket `b`, of this rank's shard.
  [[nodiscard]] Buffer moments(const Tensor& moment, int b) const {
    return moment.buffer().part(b * (bucket_size() / shards), bucket_size() / shards);
  }
};

/// A buffer as a matrix of one row.
constexpr kernels::TensorView row_view(const Buffer& buffer) {
  const auto count = static_cast<std::int64_t>(buffer.count);
  return {buffer.data, 1, count, count, buffer.type};
}

/// All parameters of one rank.
struct ModelState {
  std::vector<Segment> segments;  ///< first those of the rank's chunks, in order, then the table
  std::vector<int> chunks;        ///< the rank's chunks, ascending; segment i is chunk chunks[i]
  std::vector<int> first_layer;   ///< by chunk of the model
  std::vector<std::vector<LayerParameters>> layers;  ///< by local chunk
  EmbeddingParameters embedding;
  HeadParameters head;
  std::vector<Parameter> parameters;  ///< in order of index

  /// Position of chunk `chunk` of the model in `chunks`.
  [[nodiscard]] int local(int chunk) const;
};

/// Query and key-value heads that a tensor-parallel rank computes.
struct HeadShare {
  int heads = 0, first_head = 0, kv_heads = 0, first_kv_head = 0;
};
HeadShare head_share(const planner::Transformer& model, int tp, int tp_rank);

/// First of `n` items of part `part` of `parts`; parts differ by at most one.
constexpr std::int64_t part_begin(std::int64_t n, int parts, int part) { return n * part / parts; }

/// Allocates and draws the parameters of a rank. Element (r, c) of parameter p is a pure function
/// of (seed, p, r, c), so every layout starts from the same model. Gradients and moments start at
/// 0, masters as the values that operations read.
ModelState make_model_state(const Training& training, const Coordinates& here, Device& device);

/// The same values alone, to be read only: neither gradients nor moments.
ModelState make_weights(const planner::Transformer& model, const planner::Layout& layout,
                        kernels::ElementType type, std::uint64_t seed, const Coordinates& here,
                        Device& device);

}  // namespace meshplan::runtime
