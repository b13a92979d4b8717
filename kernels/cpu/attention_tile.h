#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

// A tile of scores is kQueryTile * kKeyTile floats, 128 KiB: it, its keys and values stay in the
// second-level cache between the two GEMMs.
inline constexpr std::int64_t kQueryTile = 128;
inline constexpr std::int64_t kKeyTile = 256;

/// Scratch slots of attention, none of which GEMM uses.
enum AttentionSlot : std::size_t {
  kKeys = 4,
  kValues,
  kQueries,
  kScores,
  kOutputs,
  kOutputGradients,
  kScoreGradients,
  kKeyGradients,
  kValueGradients,
  kRowStatistics,
};

/// Queries that run together: rows of one head, or in decoding (query_len 1) the heads that share a
/// key head, which then stand at one position.
struct QueryTile {
  std::int64_t rows = 0;
  std::int64_t first_row = 0;           ///< of q, out and their gradients
  std::int64_t first_column = 0;        ///< likewise
  bool heads_as_rows = false;           ///< row r of the tile is head_dim columns further on
  std::int64_t statistic = 0;           ///< index of the first row's log_sum_exp; the rest follow
  std::int64_t sequence = 0, head = 0;  ///< of the first row, in the operation
  std::int64_t position = 0;            ///< of the first row, relative to key 0
  std::int64_t position_step = 1;

  /// Keys that row `r` sees.
  MESHPLAN_INLINE std::int64_t visible(std::int64_t r, const AttentionShape& s) const {
    if (!s.causal) return s.kv_len;
    const std::int64_t count = position + r * position_step + 1;
    return count < 0 ? 0 : (count > s.kv_len ? s.kv_len : count);
  }
};

/// The tiles of the query heads that read key head `kv_head` of sequence `batch`.
template <class Visit>
void for_each_query_tile(const AttentionShape& s, std::int64_t batch, std::int64_t kv_head,
                         Visit visit) {
  const std::int64_t group = s.heads / s.kv_heads;
  const std::int64_t first_head = kv_head * group;
  if (s.query_len == 1) {
    for (std::int64_t h = 0; h < group; h += kQueryTile)
      visit(QueryTile{.rows = std::min(kQueryTile, group - h),
                      .first_row = batch,
                      .first_column = (first_head + h) * s.head_dim,
                      .heads_as_rows = true,
                      .statistic = batch * s.heads + first_head + h,
                      .sequence = batch,
                      .head = first_head + h,
                      .position = s.query_offset,
                      .position_step = 0});
    return;
  }
  for (std::int64_t head = first_head; head < first_head + group; ++head)
    for (std::int64_t i = 0; i < s.query_len; i += kQueryTile)
      visit(QueryTile{.rows = std::min(kQueryTile, s.query_len - i),
                      .first_row = batch * s.query_len + i,
                      .first_column = head * s.head_dim,
                      .heads_as_rows = false,
                      .statistic = (batch * s.heads + head) * s.query_len + i,
                      .sequence = batch,
                      .head = head,
                      .position = s.query_offset + i,
                      .position_step = 1});
}

/// Which probabilities of a tile are dropped: its rows of the random matrix.
struct TileDropout {
  RandomKey key{};
  std::uint32_t threshold = 0;
  float factor = 1.0F;          ///< of what is kept
  std::uint64_t first_row = 0;  ///< of the random matrix, row 0 of the tile
  std::uint64_t row_step = 0;
  bool drops = false;

  TileDropout(const AttentionDropout& dropout, const QueryTile& tile)
      : key(dropout.key),
        threshold(dropout_threshold(dropout.probability)),
        factor(1.0F / (1.0F - dropout.probability)),
        first_row(dropout.row(tile.sequence, tile.head, tile.position)),
        row_step(tile.heads_as_rows ? std::uint64_t{1} << 32 : 1),
        drops(dropout.drops()) {}

  /// visit(columns of a group as [begin, end) of the tile, its 64 words), for the first `columns`
  /// keys from `first_key` on, which is a multiple of a group.
  template <class Visit>
  MESHPLAN_INLINE void for_each_group(std::int64_t r, std::int64_t first_key, std::int64_t columns,
                                      Visit visit) const {
    for (std::int64_t begin = 0; begin < columns; begin += kRandomGroup) {
      alignas(64) std::uint32_t words[kRandomGroup];
      draw(key, first_row + static_cast<std::uint64_t>(r) * row_step,
           (first_key + begin) / kRandomGroup, words);
      visit(begin, begin + kRandomGroup < columns ? begin + kRandomGroup : columns, words);
    }
  }
};
static_assert(kKeyTile % kRandomGroup == 0);

/// The tile's part of q, out or a gradient of them, as a matrix [rows, head_dim].
template <class Pointer>
BasicTensorView<Pointer> tile_view(const BasicTensorView<Pointer>& view, const QueryTile& tile,
                                   const AttentionShape& s) {
  BasicTensorView<Pointer> part =
      rows(columns(view, tile.first_column, s.head_dim), tile.first_row, tile.rows);
  if (tile.heads_as_rows) part.row_stride = s.head_dim;
  return part;
}

/// Keys or values of one head of one sequence: [kv_len, head_dim].
template <class Pointer>
BasicTensorView<Pointer> head_view(const BasicTensorView<Pointer>& view, const AttentionShape& s,
                                   std::int64_t batch, std::int64_t kv_head) {
  return rows(columns(view, kv_head * s.head_dim, s.head_dim), batch * (view.rows / s.batch),
              s.kv_len);
}

inline FloatMatrix floats(const ConstTensorView& view, bool transpose = false) {
  return {static_cast<const float*>(view.data), std::max(view.row_stride, view.cols), transpose};
}

/// Rows [first, ...) of a matrix of floats.
inline FloatMatrix rows_from(FloatMatrix m, std::int64_t first) {
  return {m.data + first * m.stride, m.stride, m.transpose};
}

inline FloatMatrix transposed(FloatMatrix m) { return {m.data, m.stride, !m.transpose}; }

}  // namespace meshplan::kernels::cpu
