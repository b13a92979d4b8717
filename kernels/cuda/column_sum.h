#pragma once
#include <array>

#include "kernels/cuda/chunks.h"
#include "kernels/cuda/launch.h"

namespace meshplan::kernels::cuda {

/// How the rows of a column sum are cut: a matter of the shape alone, so that the additions have
/// one order on every device.
struct RowParts {
  std::int64_t rows_of_part = 0;
  std::int64_t count = 0;
};

/// At most 64 parts, of at least 64 rows each.
constexpr RowParts row_parts(std::int64_t rows) {
  const std::int64_t rows_of_part = std::max<std::int64_t>(64, ceiling_of_quotient(rows, 64));
  return {rows_of_part, ceiling_of_quotient(rows, rows_of_part)};
}

/// A block: 32 lanes across columns, a chunk each, times 8 that share the rows of a part.
inline constexpr int kColumnLanes = 256;
inline constexpr int kRowsAtOnce = kColumnLanes / 32;

/// partial[s][part][c] = sum over the rows of the part.
template <int kWidth, template <int> class Body>
struct SumPart {
  static constexpr int kSums = Body<kWidth>::kSums;

  Body<kWidth> body;
  std::int64_t rows, cols;
  bool aligned;
  RowParts parts;
  Divider tiles;  ///< of columns
  float* partial;

  struct State {
    float sums[kSums][kWidth];
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    static_assert(G::lanes == kColumnLanes);
    const auto units = static_cast<std::uint32_t>(parts.count * tiles.divisor);
    for (std::uint32_t unit = group.index(); unit < units; unit += group.count()) {
      const std::uint32_t part = tiles.quotient(unit);
      const std::uint32_t tile = unit - part * tiles.divisor;
      typename G::template PerLane<State> state;
      group.each(state, [&](int lane, State& s) {
#pragma unroll
        for (int k = 0; k < kSums; ++k)
#pragma unroll
          for (int i = 0; i < kWidth; ++i) s.sums[k][i] = 0;
        const std::int64_t column = first_column(tile, lane);
        if (column >= cols) return;
        const int end = static_cast<int>(std::int64_t{kWidth} < cols - column ? std::int64_t{kWidth}
                                                                              : cols - column);
        const std::int64_t last =
            (part + 1) * parts.rows_of_part < rows ? (part + 1) * parts.rows_of_part : rows;
#pragma unroll 4
        for (std::int64_t row = part * parts.rows_of_part + lane / 32; row < last;
             row += kRowsAtOnce)
          body.add({row, column, 0, end}, aligned, s.sums);
      });
#pragma unroll
      for (int k = 0; k < kSums; ++k) {
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          group.exchange(
              state, [&](const State& s) { return s.sums[k][i]; },
              [&](int lane, State&, const float* all) {
                const std::int64_t column = first_column(tile, lane) + i;
                if (lane >= 32 || column >= cols) return;
                float sum = all[lane];
#pragma unroll
                for (int other = 1; other < kRowsAtOnce; ++other) sum += all[lane + 32 * other];
                partial[(k * parts.count + part) * cols + column] = sum;
              });
        }
      }
    }
  }

  MESHPLAN_DEVICE static std::int64_t first_column(std::uint32_t tile, int lane) {
    return (std::int64_t{tile} * 32 + lane % 32) * kWidth;
  }
};

/// total[s][c] += sum over parts of partial[s][part][c], in the order of parts.
template <int kSums>
struct AddParts {
  const float* partial;
  std::int64_t parts, cols;
  float* total[kSums];

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    group.each([&](int lane) {
      const std::int64_t stride = std::int64_t{group.count()} * G::lanes;
#pragma unroll
      for (int k = 0; k < kSums; ++k) {
        for (std::int64_t c = std::int64_t{group.index()} * G::lanes + lane; c < cols;
             c += stride) {
          float sum = 0;
#pragma unroll 8
          for (std::int64_t part = 0; part < parts; ++part)
            sum += partial[(k * parts + part) * cols + c];
          total[k][c] += sum;
        }
      }
    });
  }
};

/// totals[s][c] += sum over `rows` rows of what body.add adds to sums[s]; Body<kWidth>::kSums sums.
/// `chunks`: those of one row. Fixed order of additions.
template <template <int> class Body, std::size_t kSums, class... Arguments>
void add_column_sums(Queue& queue, std::int64_t rows, const Chunks& chunks,
                     const TensorView (&totals)[kSums], const Arguments&... arguments) {
  if (rows == 0 || chunks.count == 0) return;
  const RowParts parts = row_parts(rows);
  const std::int64_t tiles = ceiling_of_quotient(chunks.count, 32);
  if (parts.count * tiles > kMostChunks)
    throw std::invalid_argument("fewer columns for column sums, found " +
                                std::to_string(chunks.cols));
  Queue::State& state = queue.state();
  auto* partial = static_cast<float*>(state.scratch.reserve(
      static_cast<std::int64_t>(kSums) * parts.count * chunks.cols * 4, state.stream));
  const auto add = [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    static_assert(Body<kWidth>::kSums == kSums);
    issue<kColumnLanes>(queue, parts.count * tiles,
                        SumPart<kWidth, Body>{Body<kWidth>{arguments...}, rows, chunks.cols,
                                              chunks.aligned, parts, Divider(tiles), partial});
  };
  if (chunks.width == 8)
    add(std::integral_constant<int, 8>{});
  else
    add(std::integral_constant<int, 4>{});
  AddParts<static_cast<int>(kSums)> finish{partial, parts.count, chunks.cols, {}};
  for (std::size_t s = 0; s < kSums; ++s) finish.total[s] = static_cast<float*>(totals[s].data);
  // Few columns: small blocks spread them over more multiprocessors.
  issue<32>(queue, ceiling_of_quotient(chunks.cols, 32), finish);
}

}  // namespace meshplan::kernels::cuda
