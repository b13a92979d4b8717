#pragma once
#include <cstdint>
#include <initializer_list>

namespace meshplan::planner {

/// Whether rows with this key are fitted on; the others are held out to report errors on.
///
/// Bit 32 of FNV-1a (64 bits) over the key's numbers, each as eight little-endian bytes: fixed once
/// and for all, and no fit can choose it. The key of a GEMM is (n, k), of attention (heads,
/// kv_heads, head_dim): all rows of one weight matrix or head layout go to one side, so that rows
/// held out have no neighbour in m, batch or length on the other side.
/// Source of FNV-1a: Fowler, Noll, Vo; draft-eastlake-fnv.
constexpr bool is_fitted(std::initializer_list<std::int64_t> key) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::int64_t number : key) {
    for (int byte = 0; byte < 8; ++byte) {
      hash ^= static_cast<std::uint64_t>(number) >> (8 * byte) & 0xffU;
      hash *= 0x100000001b3ULL;
    }
  }
  return (hash >> 32 & 1U) == 0;
}

}  // namespace meshplan::planner
