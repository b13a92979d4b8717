#pragma once
#include <array>
#include <cstdint>

#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// Which random matrix: `seed` of the run, `stream` of the place in the program (step, micro-batch,
/// layer, operator). Element (row, column) of that matrix is a pure function of all four, where row
/// and column are those of the *unsharded* tensor: every layout draws the same numbers.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;

  bool operator==(const RandomKey&) const = default;
};

/// Columns drawn together: lane l of 16 and word w of 4 give column group * 64 + w * 16 + l.
/// So a vector unit draws neighbouring columns without a shuffle.
inline constexpr std::int64_t kRandomLanes = 16;
inline constexpr std::int64_t kRandomGroup = 4 * kRandomLanes;

/// Rounds of Philox4x32; 7 pass BigCrush (Salmon et al., SC 2011, table 2).
inline constexpr int kPhiloxRounds = 7;

/// Four independent uniform 32-bit words of (row, lane index) under `key`; the lane index counts
/// 16 lanes a group of columns. Source: Salmon et al., "Parallel random numbers", SC 2011.
constexpr std::array<std::uint32_t, 4> philox(RandomKey key, std::uint64_t row,
                                              std::uint32_t lane_index) {
  std::uint32_t c0 = static_cast<std::uint32_t>(row);
  std::uint32_t c1 = static_cast<std::uint32_t>(row >> 32);
  std::uint32_t c2 = lane_index;
  std::uint32_t c3 = static_cast<std::uint32_t>(key.stream);
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t k1 =
      static_cast<std::uint32_t>(key.seed >> 32) ^ static_cast<std::uint32_t>(key.stream >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t low = std::uint64_t{0xD2511F53} * c0;
    const std::uint64_t high = std::uint64_t{0xCD9E8D57} * c2;
    const std::uint32_t next0 = static_cast<std::uint32_t>(high >> 32) ^ c1 ^ k0;
    const std::uint32_t next2 = static_cast<std::uint32_t>(low >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(high);
    c3 = static_cast<std::uint32_t>(low);
    c0 = next0;
    c2 = next2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

/// The uniform 32-bit word of element (row, column).
constexpr std::uint32_t random_word(RandomKey key, std::uint64_t row, std::int64_t column) {
  const std::int64_t group = column / kRandomGroup;
  const std::int64_t within = column % kRandomGroup;
  const auto lane_index = static_cast<std::uint32_t>(group * kRandomLanes + within % kRandomLanes);
  return philox(key, row, lane_index)[static_cast<std::size_t>(within / kRandomLanes)];
}

/// y[r,c] = mean + stddev * z(first_row + r, first_column + c), z standard normal
///
/// y [rows, cols]: a shard of a parameter, drawn as part of the whole.
/// z by Box-Muller from words of `key` and of the same key with the top bit of the seed flipped:
///   z = sqrt(-2 log((w1 + 1) 2^-32)) cos(2 pi w2 2^-32)
/// Tolerance: 2e-6 * stddev * (1 + |z|).
struct NormalFill {
  TensorView y;
  float mean = 0.0F;
  float stddev = 1.0F;
  RandomKey key{};
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
};

constexpr std::int64_t bytes_moved(const NormalFill& op) { return op.y.bytes(); }

}  // namespace meshplan::kernels
