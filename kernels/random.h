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

namespace detail {

template <class Word>
struct ThreefryState {
  Word x0, x1, x2, x3;
};

/// Rounds kRound .. 12, unrolled so that a vector unit keeps the state in registers. `Word` is a
/// std::uint32_t, or several that take the rounds side by side.
template <int kRound, class Word>
[[gnu::always_inline]] constexpr ThreefryState<Word> threefry_rounds(
    ThreefryState<Word> s, const std::uint32_t (&key)[5]) {
  constexpr int kRounds = 13;
  constexpr int kRotations[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5},
                                    {6, 20},  {17, 11}, {25, 10}, {18, 20}};
  if constexpr (kRound == kRounds) {
    return s;
  } else {
    if constexpr (kRound > 0 && kRound % 4 == 0) {
      constexpr int kInjection = kRound / 4;
      s.x0 += key[kInjection % 5];
      s.x1 += key[(kInjection + 1) % 5];
      s.x2 += key[(kInjection + 2) % 5];
      s.x3 += key[(kInjection + 3) % 5] + kInjection;
    }
    constexpr int kLeft = kRotations[kRound % 8][0], kRight = kRotations[kRound % 8][1];
    // Odd rounds pair the words crosswise.
    const Word a = kRound % 2 == 0 ? s.x1 : s.x3, b = kRound % 2 == 0 ? s.x3 : s.x1;
    s.x0 += a;
    s.x2 += b;
    const Word mixed_a = ((a << kLeft) | (a >> (32 - kLeft))) ^ s.x0;
    const Word mixed_b = ((b << kRight) | (b >> (32 - kRight))) ^ s.x2;
    return threefry_rounds<kRound + 1>(kRound % 2 == 0
                                           ? ThreefryState<Word>{s.x0, mixed_a, s.x2, mixed_b}
                                           : ThreefryState<Word>{s.x0, mixed_b, s.x2, mixed_a},
                                       key);
  }
}

template <class Word>
[[gnu::always_inline]] constexpr ThreefryState<Word> threefry(RandomKey key, std::uint64_t row,
                                                              Word lane_index) {
  const auto k0 = static_cast<std::uint32_t>(key.seed);
  const auto k1 = static_cast<std::uint32_t>(key.seed >> 32);
  const auto k2 = static_cast<std::uint32_t>(key.stream);
  const auto k3 = static_cast<std::uint32_t>(key.stream >> 32);
  const std::uint32_t schedule[5] = {k0, k1, k2, k3, 0x1BD11BDA ^ k0 ^ k1 ^ k2 ^ k3};
  lane_index += k2;
  return threefry_rounds<0>(
      ThreefryState<Word>{Word{static_cast<std::uint32_t>(row) + k0},
                          Word{static_cast<std::uint32_t>(row >> 32) + k1}, lane_index, Word{k3}},
      schedule);
}

}  // namespace detail

/// Four independent uniform 32-bit words of (row, lane index) under `key`; the lane index counts
/// 16 lanes a group of columns.
///
/// Threefry-4x32 with 13 rounds, counter (row, lane index, 0), key (seed, stream): additions,
/// rotations and exclusive ors alone, which every vector unit has; compilers find no vectors in the
/// widening multiplications of Philox. Source: Salmon et al., "Parallel random numbers", SC 2011.
[[gnu::always_inline]] constexpr std::array<std::uint32_t, 4> threefry(RandomKey key,
                                                                       std::uint64_t row,
                                                                       std::uint32_t lane_index) {
  const detail::ThreefryState<std::uint32_t> drawn = detail::threefry(key, row, lane_index);
  return {drawn.x0, drawn.x1, drawn.x2, drawn.x3};
}

/// The uniform 32-bit word of element (row, column).
constexpr std::uint32_t random_word(RandomKey key, std::uint64_t row, std::int64_t column) {
  const std::int64_t group = column / kRandomGroup;
  const std::int64_t within = column % kRandomGroup;
  const auto lane_index = static_cast<std::uint32_t>(group * kRandomLanes + within % kRandomLanes);
  return threefry(key, row, lane_index)[static_cast<std::size_t>(within / kRandomLanes)];
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
