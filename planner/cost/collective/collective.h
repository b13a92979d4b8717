#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace meshplan::planner {

enum class Collective : std::uint8_t {
  AllReduce,
  AllGather,
  ReduceScatter,
  Broadcast,
  AllToAll,
  SendReceive
};
constexpr int kCollectives = 6;

/// "all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "send_recv": as tables
/// and the command line write them.
std::string_view name(Collective operation);
/// The operation of that name; "-" counts as "_". None if unknown.
std::optional<Collective> collective_from(std::string_view text);

}  // namespace meshplan::planner
