#include "runtime/communicator/mpi_plugin.h"

#include <mpi.h>

#include <exception>
#include <memory>
#include <string>

#include "runtime/communicator/mpi_seat.h"
#include "runtime/communicator/mpi_world.h"

namespace meshplan::runtime::mpi {
namespace {

void run(const MpiOptions& options, const std::function<void(Communicator&)>& body) {
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  const auto world = std::make_shared<World>(options);
  const auto tell = [&](const RankFailure& failure) {
    if (options.tell && world->speaks()) options.tell(failure);
  };
  try {
    Seat seat(world, world->comm());
    body(seat);
    world->finish_sends();
    seat.barrier();
    world->leave();
  } catch (const RankFailure& failure) {
    tell(failure);
    throw;
  } catch (const std::exception& error) {
    const std::string reason = "rank " + std::to_string(world->rank()) + ": " + error.what();
    world->fail(reason);
    const RankFailure failure = world->failure(world->rank(), reason);
    tell(failure);
    throw failure;
  }
  check(MPI_Finalize(), "MPI_Finalize");
}

}  // namespace
}  // namespace meshplan::runtime::mpi

extern "C" __attribute__((visibility("default"))) void meshplan_run_over_mpi(
    const meshplan::runtime::MpiOptions& options,
    const std::function<void(meshplan::runtime::Communicator&)>& body) {
  meshplan::runtime::mpi::run(options, body);
}
