#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "planner/cost/collective/collective_table.h"

namespace meshplan::planner {

/// Which half of recorded runs or rows a report is about.
enum class Half { Both, Fitted, Held };

/// Whether a report on `half` holds a run or row on which constants may be fitted, or not.
constexpr bool holds(Half half, bool fitted) {
  return half == Half::Both || fitted == (half == Half::Fitted);
}

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

/// The same of measured collectives: all sizes of one operation on one group of ranks go to one
/// side. Bit 17 of FNV-1a over "18468/cluster/operation/ranks/nodes": of the numbers in front, one
/// was taken with which each kind of network that has one group only, and each number of ranks of
/// the PCIe hosts, is among the fitted.
inline bool is_fitted(const MeasuredCollective& row) {
  const std::string key = "18468/" + row.cluster + "/" + std::string(name(row.operation)) + "/" +
                          std::to_string(row.ranks) + "/" + std::to_string(row.nodes);
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const unsigned char c : key) hash = (hash ^ c) * 0x100000001b3ULL;
  return (hash >> 17 & 1U) == 0;
}

}  // namespace meshplan::planner
