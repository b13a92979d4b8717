#include "runtime/communicator/in_process_world.h"

#include <thread>
#include <utility>

namespace meshplan::runtime::in_process {
namespace {

Clock::rep now() { return Clock::now().time_since_epoch().count(); }

std::int64_t packed(Place place) {
  return (static_cast<std::int64_t>(place.step) << 32) |
         static_cast<std::uint32_t>(place.instruction);
}
Place unpacked(std::int64_t place) {
  if (place < 0) return {};
  return {static_cast<std::int32_t>(place >> 32), static_cast<std::int32_t>(place & 0xffffffff)};
}

}  // namespace

World::World(int ranks, InProcessOptions options)
    : options_(std::move(options)),
      spins_(!options_.take_turns &&
             static_cast<unsigned>(ranks) <= std::thread::hardware_concurrency()),
      ranks_(ranks) {
  for (RankState& rank : ranks_) rank.heard = now();
}

void World::note(int rank, Place place) {
  ranks_[rank].place.store(packed(place), std::memory_order_relaxed);
  ranks_[rank].heard.store(now(), std::memory_order_relaxed);
}

void World::fail(int rank, const std::string& reason) {
  const std::lock_guard lock(failure_mutex_);
  if (failure_) return;
  std::vector<Place> places;
  for (const RankState& state : ranks_) {
    places.push_back(unpacked(state.place.load(std::memory_order_relaxed)));
  }
  failure_.emplace(rank, reason, std::move(places), options_.in_words);
  failed_.store(true);
}

void World::throw_failure() {
  const std::lock_guard lock(failure_mutex_);
  throw RankFailure(*failure_);
}

void World::begin_turn(int rank) {
  if (options_.take_turns) {
    std::unique_lock lock(turn_mutex_);
    while (turn_taken_ && !failed()) turn_ended_.wait_for(lock, kGlance);
    turn_taken_ = true;
  }
  ranks_[rank].heard = now();
  ranks_[rank].waiting = false;
}

void World::end_turn(int rank) {
  ranks_[rank].waiting = true;
  if (options_.take_turns) {
    const std::lock_guard lock(turn_mutex_);
    turn_taken_ = false;
    turn_ended_.notify_one();
  }
}

std::optional<int> World::stalled() const {
  for (int r = 0; r < size(); ++r) {
    const RankState& state = ranks_[r];
    if (state.finished || state.waiting) continue;
    if (Clock::duration(now() - state.heard) > options_.timeout) return r;
  }
  return std::nullopt;
}

}  // namespace meshplan::runtime::in_process
