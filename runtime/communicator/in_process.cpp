#include "runtime/communicator/in_process.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/communicator/in_process_group.h"
#include "runtime/communicator/in_process_seat.h"
#include "runtime/communicator/in_process_world.h"

namespace meshplan::runtime {
namespace {

/// Time that ranks get to end after a failure before their threads are left behind.
constexpr std::chrono::seconds kGrace{1};

/// Ends of the threads of one run, watched by the thread that started them.
struct Finish {
  std::mutex mutex;
  std::condition_variable changed;
  int running = 0;
};

}  // namespace

void run_in_process(int ranks, const InProcessOptions& options,
                    const std::function<void(Communicator&)>& body) {
  auto world = std::make_shared<in_process::World>(ranks, options);
  std::vector<int> members(ranks);
  std::iota(members.begin(), members.end(), 0);
  const auto group = std::make_shared<in_process::Group>(world, members);
  const auto finish = std::make_shared<Finish>();
  finish->running = ranks;

  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([world, group, finish, body, r] {
      world->begin_turn(r);
      try {
        in_process::Seat seat(group, r);
        body(seat);
      } catch (const RankFailure&) {  // known to the world already
      } catch (const std::exception& error) {
        world->fail(r, "rank " + std::to_string(r) + ": " + error.what());
      } catch (...) {
        world->fail(r, "rank " + std::to_string(r) + " threw something unknown");
      }
      world->end_turn(r);
      world->finish(r);
      const std::lock_guard lock(finish->mutex);
      --finish->running;
      finish->changed.notify_all();
    });
  }

  std::unique_lock lock(finish->mutex);
  while (finish->running > 0 && !world->failed()) {
    finish->changed.wait_for(lock, in_process::kGlance);
    if (const std::optional<int> r = world->stalled()) {
      world->fail(*r, "rank " + std::to_string(*r) + " made no progress for " +
                          std::to_string(options.timeout.count()) + " s");
    }
  }
  finish->changed.wait_for(lock, kGrace, [&] { return finish->running == 0; });
  lock.unlock();
  for (int r = 0; r < ranks; ++r) {
    if (world->finished(r)) {
      threads[r].join();
    } else {
      threads[r].detach();
    }
  }
  if (world->failed()) world->throw_failure();
}

}  // namespace meshplan::runtime
