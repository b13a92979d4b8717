#include "runtime/communicator/mpi_world.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace meshplan::runtime::mpi {
namespace {

/// The launcher ends all ranks with SIGTERM as soon as one has died. They say first how far each
/// came: the signal is only noted, and acted on at the next wait or instruction.
volatile sig_atomic_t told_to_end = 0;
void note_signal(int) { told_to_end = 1; }

bool alive(pid_t process) { return kill(process, 0) == 0 || errno != ESRCH; }

}  // namespace

void check(int status, const char* call) {
  if (status != MPI_SUCCESS) throw std::runtime_error(std::string(call) + " failed");
}

World::World(MpiOptions options) : options_(std::move(options)) {
  check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  share_slots();
  signal(SIGTERM, note_signal);
}

void World::leave() {
  mine_->left = 1;
  signal(SIGTERM, SIG_DFL);
}

void World::share_slots() {
  MPI_Comm node = MPI_COMM_NULL;
  check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
        "MPI_Comm_split_type");
  void* memory = nullptr;
  check(MPI_Win_allocate_shared(sizeof(Slot), 1, MPI_INFO_NULL, node, &memory, &window_),
        "MPI_Win_allocate_shared");
  mine_ = new (memory) Slot;
  mine_->process = getpid();
  MPI_Barrier(node);
  // Which rank of the node is which rank of the world.
  int neighbours = 0;
  MPI_Comm_size(node, &neighbours);
  std::vector<int> ranks(neighbours);
  MPI_Allgather(&rank_, 1, MPI_INT, ranks.data(), 1, MPI_INT, node);
  slots_.assign(size_, nullptr);
  watched_.assign(size_, 0);
  for (int n = 0; n < neighbours; ++n) {
    MPI_Aint bytes = 0;
    int unit = 0;
    void* theirs = nullptr;
    MPI_Win_shared_query(window_, n, &bytes, &unit, &theirs);
    Slot* const slot = static_cast<Slot*>(theirs);
    slots_[ranks[n]] = slot;
    if (n == 0) first_ = slot;
    // In a container of its own a rank has a number that means nothing here.
    const pid_t process = slot->process;
    if (ranks[n] != rank_ && alive(process)) watched_[ranks[n]] = process;
  }
  MPI_Barrier(node);  // everybody was alive when everybody looked
  MPI_Comm_free(&node);
}

void World::note(Place place) {
  mine_->place.store(
      (static_cast<std::int64_t>(place.step) << 32) | static_cast<std::uint32_t>(place.instruction),
      std::memory_order_relaxed);
  if (told_to_end != 0) look_for_death();
}

void World::fail(const std::string& reason) {
  int nothing = 0;
  if (!mine_->failed.compare_exchange_strong(nothing, 1)) return;
  const std::size_t length = std::min(reason.size(), mine_->reason.size() - 1);
  std::memcpy(mine_->reason.data(), reason.data(), length);
  mine_->failed.store(2, std::memory_order_release);
}

bool World::speaks() const { return first_->told.exchange(1) == 0; }

RankFailure World::failure(int rank, const std::string& reason) const {
  std::vector<Place> places;
  for (const Slot* slot : slots_) {
    const std::int64_t packed = slot ? slot->place.load(std::memory_order_relaxed) : -1;
    places.push_back(packed < 0 ? Place{}
                                : Place{static_cast<std::int32_t>(packed >> 32),
                                        static_cast<std::int32_t>(packed & 0xffffffff)});
  }
  return {rank, reason, std::move(places), options_.in_words};
}

void World::look_for_failure() const {
  for (int r = 0; r < size_; ++r) {
    if (slots_[r] != nullptr && slots_[r]->failed.load(std::memory_order_acquire) == 2) {
      throw failure(r, slots_[r]->reason.data());
    }
  }
}

void World::look_for_death() {
  for (int r = 0; r < size_; ++r) {
    if (watched_[r] == 0 || alive(watched_[r]) || slots_[r]->left != 0) continue;
    look_for_failure();  // it said why
    const std::string reason = "the process of rank " + std::to_string(r) + " has died";
    fail(reason);
    throw failure(r, reason);
  }
  if (told_to_end == 0) return;
  look_for_failure();
  signal(SIGTERM, SIG_DFL);
  raise(SIGTERM);
}

void World::give_up(const char* where) {
  const std::string reason = "rank " + std::to_string(rank_) + " waited " +
                             std::to_string(timeout().count()) + " s in " + where;
  fail(reason);
  throw failure(rank_, reason);
}

void World::wait_for(const char* where, MPI_Request& request) {
  wait(where, [&] {
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  });
}

void World::drop_finished_sends() {
  for (auto it = sending_.begin(); it != sending_.end();) {
    int done = 0;
    check(MPI_Test(&it->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    it = done != 0 ? sending_.erase(it) : std::next(it);
  }
}

void World::finish_sends() {
  for (Sending& s : sending_) wait_for("the end of a send", s.request);
  sending_.clear();
}

}  // namespace meshplan::runtime::mpi
