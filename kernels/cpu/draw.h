#pragma once
#include <array>
#include <cstdint>

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

}  // namespace meshplan::kernels::cpu
