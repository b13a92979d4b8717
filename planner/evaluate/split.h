#pragma once
#include <cstdint>
#include <string_view>

namespace meshplan::planner {

/// Which half of recorded runs a report is about.
enum class Half { Both, Fitted, Held };

/// Whether constants may be fitted on runs of this model from this source; the others are held out.
///
/// Bit 32 of FNV-1a (64 bits) over the source, a zero byte, and the model's name: fixed once and
/// for all, and no fit can choose it. All layouts of one model in one source go to one side, so
/// that no run held out has a sibling on the other side.
/// Source of FNV-1a: Fowler, Noll, Vo; draft-eastlake-fnv.
constexpr bool is_fitted(std::string_view source, std::string_view model) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&](unsigned char byte) {
    hash ^= byte;
    hash *= 0x100000001b3ULL;
  };
  for (const char byte : source) add(static_cast<unsigned char>(byte));
  add(0);
  for (const char byte : model) add(static_cast<unsigned char>(byte));
  return (hash >> 32 & 1U) == 0;
}

}  // namespace meshplan::planner
