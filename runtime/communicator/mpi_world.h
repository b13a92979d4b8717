#pragma once
#include <mpi.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/communicator/mpi.h"

namespace meshplan::runtime::mpi {

void check(int status, const char* call);

/// What the seats of one process share: who this rank is, what ranks of the same node tell each
/// other in shared memory, and sends that MPI has not finished with.
///
/// Shared memory outlives its owner: ranks see there how far a rank came that was killed.
class World {
 public:
  explicit World(MpiOptions options);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] MPI_Comm comm() const { return comm_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] profiles::Seconds timeout() const { return options_.timeout; }

  /// Also where a rank that computes learns of a SIGTERM.
  void note(Place place);
  void fail(const std::string& reason);
  /// This rank has nothing to do any more: that its process ends is no failure.
  void leave();
  [[nodiscard]] RankFailure failure(int rank, const std::string& reason) const;
  /// Whether this rank is the first of its node to ask: one of them tells the user.
  [[nodiscard]] bool speaks() const;

  /// Polls `done` until it holds. Throws RankFailure when a rank of this node has failed or died,
  /// or the timeout passes. `where` = the call, for the message.
  template <typename Done>
  void wait(const char* where, const Done& done) {
    const auto begin = Clock::now();
    auto looked = begin;
    for (int polls = 1; !done(); ++polls) {
      // Progress is made by polling; with more ranks than cores others need the core.
      if (polls % 16 == 0) std::this_thread::yield();
      if (polls % 256 != 0) continue;
      look_for_failure();
      const auto now = Clock::now();
      if (now - looked > kGlance) {
        look_for_death();
        looked = now;
      }
      if (now - begin > timeout()) give_up(where);
    }
  }
  void wait_for(const char* where, MPI_Request& request);

  struct Sending {
    std::vector<std::byte> message;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  std::list<Sending>& sending() { return sending_; }
  void drop_finished_sends();
  void finish_sends();
  /// Throws if a rank of this node has failed.
  void look_for_failure() const;

 private:
  using Clock = std::chrono::steady_clock;
  /// How often a wait looks whether the processes of the other ranks are alive.
  static constexpr std::chrono::milliseconds kGlance{20};

  /// What a rank shows to the others of its node.
  struct Slot {
    std::atomic<std::int64_t> place{-1};  ///< step << 32 | instruction
    std::atomic<int> failed{0};           ///< 1: reason is being written, 2: complete
    std::atomic<int> left{0};
    std::atomic<int> told{0};  ///< of the node's first rank: somebody has told the user
    std::atomic<pid_t> process{0};
    std::array<char, 256> reason{};
  };

  void share_slots();
  /// Throws if the process of a rank of this node is gone; ends this process if it was asked to
  /// end (SIGTERM) and nobody else failed.
  void look_for_death();
  [[noreturn]] void give_up(const char* where);

  MpiOptions options_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  MPI_Win window_ = MPI_WIN_NULL;
  int rank_ = 0, size_ = 1;
  Slot* mine_ = nullptr;
  Slot* first_ = nullptr;       ///< of the node's first rank
  std::vector<Slot*> slots_;    ///< by rank; null on other nodes
  std::vector<pid_t> watched_;  ///< by rank: processes that this one can see; 0: cannot
  std::list<Sending> sending_;
};

}  // namespace meshplan::runtime::mpi
