#pragma once
#include <cstdint>
#include <vector>

namespace meshplan::runtime {

/// Where a micro-batch's sequences stand in the global batch: sequences
/// (dp_rank * microbatches + microbatch) * mbs ... + mbs - 1, whatever the layout.
constexpr std::int64_t first_sequence(int dp_rank, int microbatch, int microbatches, int mbs) {
  return (static_cast<std::int64_t>(dp_rank) * microbatches + microbatch) * mbs;
}

/// Synthetic text: `sequences` rows of `length` tokens. Token 0 of global sequence g is drawn under
/// (seed, g); each next one follows a fixed rule with one draw in eight, so that there is something
/// to learn. Pure function of (seed, sequence, position).
std::vector<std::int32_t> synthetic_tokens(std::uint64_t seed, std::int64_t first, int sequences,
                                           int length, int vocab);

}  // namespace meshplan::runtime
