#pragma once
#include "kernels/cuda/chunks.h"
#include "kernels/cuda/launch.h"

// Kernels in which a group of lanes works on a row, then on the next.

namespace meshplan::kernels::cuda {

/// Chunks of a row that a lane keeps, packed, between passes: the loads it has under way at a time.
/// A longer row is read again in each pass, from the nearest cache.
inline constexpr int kKeptChunks = 4;

struct RowShape {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::uint32_t chunks = 0;  ///< of a row
  bool aligned = false;

  RowShape(std::int64_t row_count, const Chunks& of_row)
      : rows(row_count), cols(of_row.cols), chunks(of_row.count), aligned(of_row.aligned) {}

  /// Rounds of kKeptChunks chunks a lane.
  template <class G>
  MESHPLAN_DEVICE std::uint32_t rounds() const {
    return (chunks + kKeptChunks * G::lanes - 1) / (kKeptChunks * G::lanes);
  }

  /// Chunk `kept` of a lane in a round; empty past the end of the row.
  template <int kWidth, class G>
  MESHPLAN_DEVICE Place place(std::int64_t row, std::uint32_t round, int kept, int lane) const {
    const std::uint32_t chunk =
        (round * kKeptChunks + static_cast<std::uint32_t>(kept)) * G::lanes +
        static_cast<std::uint32_t>(lane);
    if (chunk >= chunks) return {row, 0, 0, 0};
    const std::int64_t column = std::int64_t{chunk} * kWidth;
    const std::int64_t rest = cols - column;
    return {row, column, 0, rest < kWidth ? static_cast<int>(rest) : kWidth};
  }

  /// words[j] = chunk j of the round.
  template <int kWidth, class G>
  MESHPLAN_DEVICE void load_round(const Input& x, std::int64_t row, std::uint32_t round, int lane,
                                  Words (&words)[kKeptChunks]) const {
#pragma unroll
    for (int j = 0; j < kKeptChunks; ++j)
      words[j] = load<kWidth>(x, place<kWidth, G>(row, round, j, lane), aligned);
  }
};

/// A warp a row where it can keep the row, else a block of 256.
constexpr int row_lanes(std::uint32_t chunks_of_row) {
  return chunks_of_row <= 32 * kKeptChunks ? 32 : 256;
}

/// Issues Kernel<kWidth>{arguments...} with a group a row.
template <template <int> class Kernel, class... Arguments>
void issue_rows(Queue& queue, std::int64_t rows, const Chunks& of_row,
                const Arguments&... arguments) {
  const RowShape shape(rows, of_row);
  const auto with_lanes = [&](const auto& kernel) {
    if (row_lanes(shape.chunks) == 32)
      issue<32>(queue, rows, kernel);
    else
      issue<256>(queue, rows, kernel);
  };
  if (of_row.width == 8)
    with_lanes(Kernel<8>{shape, arguments...});
  else
    with_lanes(Kernel<4>{shape, arguments...});
}

}  // namespace meshplan::kernels::cuda
