#include "runtime/communicator/tcp.h"

#include <exception>
#include <memory>
#include <numeric>
#include <string>

#include "runtime/communicator/tcp_hub.h"
#include "runtime/communicator/tcp_seat.h"

namespace meshplan::runtime {
namespace {

constexpr std::uint64_t kAll = 1;

bool speaks(const Launch& launch, const RankFailure& failure) {
  const bool hub_is_lost = failure.places().empty() && failure.rank() == 0;
  return hub_is_lost || launch.local_rank.value_or(launch.rank) == 0;
}

struct Meeting {
  std::unique_ptr<tcp::Hub> hub;  ///< of rank 0
  std::shared_ptr<tcp::World> world;
};

Meeting met(const Launch& launch, const TcpOptions& options) {
  try {
    Meeting out;
    if (launch.rank == 0) {
      out.hub = std::make_unique<tcp::Hub>(launch.port, launch.ranks, options.timeout);
    }
    out.world = std::make_shared<tcp::World>(launch, options);
    return out;
  } catch (const RankFailure&) {
    throw;
  } catch (const std::exception& error) {
    throw RankFailure(launch.rank, error.what(), {}, {});
  }
}

/// Tells the others, and waits for the failure with everybody's place.
[[noreturn]] void fail(tcp::World& world, const std::string& reason) {
  world.fail("rank " + std::to_string(world.rank()) + ": " + reason);
  for (;;) world.await(world.rank(), kAll, 0);  // nothing comes
}

void run_met(const std::shared_ptr<tcp::World>& world,
             const std::function<void(Communicator&)>& body) {
  std::vector<int> members(static_cast<std::size_t>(world->size()));
  std::iota(members.begin(), members.end(), 0);
  try {
    tcp::Seat seat(world, members, world->rank(), kAll);
    body(seat);
    seat.barrier();
  } catch (const RankFailure&) {
    throw;
  } catch (const std::exception& error) {
    fail(*world, error.what());
  }
}

}  // namespace

void run_over_tcp(const Launch& launch, const TcpOptions& options,
                  const std::function<void(Communicator&)>& body) {
  require_meeting_place(launch);
  Meeting meeting;
  try {
    meeting = met(launch, options);
    run_met(meeting.world, body);
  } catch (const RankFailure& failure) {
    if (options.tell && speaks(launch, failure)) options.tell(failure);
    if (meeting.world) meeting.world->say_goodbye();
    throw;
  }
  meeting.world->say_goodbye();
}

}  // namespace meshplan::runtime
