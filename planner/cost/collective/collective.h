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
  SendReceive,
  Reduce
};
constexpr int kCollectives = 7;

/// "all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "send_recv", "reduce":
/// as tables and the command line write them.
std::string_view name(Collective operation);
/// The operation of that name, with "_", "-" or nothing between its words ("alltoall" as nccl-tests
/// writes it). None if unknown.
std::optional<Collective> collective_from(std::string_view text);

}  // namespace meshplan::planner
