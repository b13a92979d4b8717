#include "runtime/communicator/tcp.h"

#include <exception>
#include <memory>
#include <numeric>
#include <string>

#include "runtime/communicator/tcp_hub.h"
#include "runtime/communicator/tcp_seat.h"

namespace meshplan::runtime {

void run_over_tcp(const Launch& launch, const TcpOptions& options,
                  const std::function<void(Communicator&)>& body) {
  std::unique_ptr<tcp::Hub> hub;
  if (launch.rank == 0) {
    hub = std::make_unique<tcp::Hub>(launch.port, launch.ranks, options.timeout);
  }
  const auto world = std::make_shared<tcp::World>(launch, options);
  std::vector<int> members(static_cast<std::size_t>(launch.ranks));
  std::iota(members.begin(), members.end(), 0);
  constexpr std::uint64_t kAll = 1;
  try {
    tcp::Seat seat(world, members, launch.rank, kAll);
    body(seat);
    seat.barrier();
    world->say_goodbye();
  } catch (const RankFailure&) {
    world->say_goodbye();
    throw;
  } catch (const std::exception& error) {
    world->fail("rank " + std::to_string(launch.rank) + ": " + error.what());
    try {
      world->await(launch.rank, kAll, 0);  // nothing comes: ends with everybody's places
    } catch (...) {
      world->say_goodbye();
      throw;
    }
  }
}

}  // namespace meshplan::runtime
