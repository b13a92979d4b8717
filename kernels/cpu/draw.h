#pragma once
#include <array>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/vector.h"
#include "kernels/random.h"

namespace meshplan::kernels::cpu {

/// words[64] = random_word(key, row, group * 64 ...)
MESHPLAN_INLINE void draw(RandomKey key, std::uint64_t row, std::int64_t group,
                          std::uint32_t* words) {
  const auto first_lane = static_cast<std::uint32_t>(group * kRandomLanes);
  // GCC would unroll sixteen lanes before it looks for vectors.
#pragma GCC unroll 1
  for (std::uint32_t lane = 0; lane < kRandomLanes; ++lane) {
    const std::array<std::uint32_t, 4> drawn = threefry(key, row, first_lane + lane);
    words[lane] = std::get<0>(drawn);
    words[kRandomLanes + lane] = std::get<1>(drawn);
    words[2 * kRandomLanes + lane] = std::get<2>(drawn);
    words[3 * kRandomLanes + lane] = std::get<3>(drawn);
  }
}

/// Columns that `draw_kept` decides on together.
inline constexpr std::int64_t kKeptColumns = 2 * kRandomGroup;

/// kept[128]: all bits set where random_word(key, row, pair * 128 ...) >= threshold, else 0.
///
/// Two groups, since a round waits for the one before and a vector unit has time for two: the 16
/// bits of the masks make the compiler take 32 lanes at once, statement by statement.
MESHPLAN_INLINE void draw_kept(RandomKey key, std::uint64_t row, std::int64_t pair,
                               std::uint32_t threshold, std::uint16_t* kept) {
  constexpr std::uint32_t kBothLanes = 2 * kRandomLanes;
  const auto first_lane = static_cast<std::uint32_t>(pair) * kBothLanes;
  alignas(64) std::uint16_t by_word[4][kBothLanes];
#pragma GCC unroll 1
  for (std::uint32_t lane = 0; lane < kBothLanes; ++lane) {
    const std::array<std::uint32_t, 4> drawn = threefry(key, row, first_lane + lane);
    by_word[0][lane] = std::get<0>(drawn) >= threshold ? 0xFFFF : 0;
    by_word[1][lane] = std::get<1>(drawn) >= threshold ? 0xFFFF : 0;
    by_word[2][lane] = std::get<2>(drawn) >= threshold ? 0xFFFF : 0;
    by_word[3][lane] = std::get<3>(drawn) >= threshold ? 0xFFFF : 0;
  }
  for (std::int64_t group = 0; group < 2; ++group)
    for (std::int64_t word = 0; word < 4; ++word)
      std::memcpy(kept + group * kRandomGroup + word * kRandomLanes,
                  by_word[word] + group * kRandomLanes, kRandomLanes * sizeof(std::uint16_t));
}

}  // namespace meshplan::kernels::cpu
