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

/// The words of two groups. A round waits for the one before, and a vector unit has time for two.
struct TwoWords {
  MESHPLAN_INLINE explicit TwoWords(std::uint32_t same) : first(same), second(same) {}
  MESHPLAN_INLINE TwoWords(std::uint32_t one, std::uint32_t other) : first(one), second(other) {}

  MESHPLAN_INLINE TwoWords& operator+=(TwoWords other) {
    first += other.first;
    second += other.second;
    return *this;
  }
  MESHPLAN_INLINE TwoWords& operator+=(std::uint32_t number) { return *this += TwoWords(number); }
  MESHPLAN_INLINE TwoWords operator<<(int bits) const { return {first << bits, second << bits}; }
  MESHPLAN_INLINE TwoWords operator>>(int bits) const { return {first >> bits, second >> bits}; }
  MESHPLAN_INLINE TwoWords operator|(TwoWords other) const {
    return {first | other.first, second | other.second};
  }
  MESHPLAN_INLINE TwoWords operator^(TwoWords other) const {
    return {first ^ other.first, second ^ other.second};
  }

  std::uint32_t first, second;
};

/// words[128]: as `draw`, of the groups 2 * pair and 2 * pair + 1.
MESHPLAN_INLINE void draw_two(RandomKey key, std::uint64_t row, std::int64_t pair,
                              std::uint32_t* words) {
  const auto first_lane = static_cast<std::uint32_t>(2 * pair * kRandomLanes);
  std::uint32_t* next = words + kRandomGroup;
#pragma GCC unroll 1
  for (std::uint32_t lane = 0; lane < kRandomLanes; ++lane) {
    const std::uint32_t index = first_lane + lane;
    const detail::ThreefryState<TwoWords> drawn = detail::threefry(
        key, row, TwoWords(index, index + static_cast<std::uint32_t>(kRandomLanes)));
    words[lane] = drawn.x0.first;
    words[kRandomLanes + lane] = drawn.x1.first;
    words[2 * kRandomLanes + lane] = drawn.x2.first;
    words[3 * kRandomLanes + lane] = drawn.x3.first;
    next[lane] = drawn.x0.second;
    next[kRandomLanes + lane] = drawn.x1.second;
    next[2 * kRandomLanes + lane] = drawn.x2.second;
    next[3 * kRandomLanes + lane] = drawn.x3.second;
  }
}

}  // namespace meshplan::kernels::cpu
