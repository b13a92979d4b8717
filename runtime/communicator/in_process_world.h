#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/communicator/in_process.h"

namespace meshplan::runtime::in_process {

using Clock = std::chrono::steady_clock;

/// How often a wait looks whether another rank has failed.
constexpr std::chrono::milliseconds kGlance{20};

/// What all ranks of a run share: who is where, whose turn it is, and who failed.
class World {
 public:
  World(int ranks, InProcessOptions options);

  [[nodiscard]] const InProcessOptions& options() const { return options_; }
  [[nodiscard]] int size() const { return static_cast<int>(ranks_.size()); }
  /// Whether a waiting rank may keep its core for a moment.
  [[nodiscard]] bool spins() const { return spins_; }

  void note(int rank, Place place);
  /// The first failure counts.
  void fail(int rank, const std::string& reason);
  [[nodiscard]] bool failed() const { return failed_.load(); }
  [[noreturn]] void throw_failure();

  /// The rank stops waiting; with turns, as soon as no other rank runs (or one has failed).
  void begin_turn(int rank);
  void end_turn(int rank);

  void finish(int rank) { ranks_[rank].finished = true; }
  [[nodiscard]] bool finished(int rank) const { return ranks_[rank].finished; }
  /// A rank that computes without a word for longer than the timeout.
  [[nodiscard]] std::optional<int> stalled() const;

 private:
  struct RankState {
    std::atomic<std::int64_t> place{-1};  ///< step << 32 | instruction
    std::atomic<Clock::rep> heard{0};     ///< last note(), for ranks that do not wait
    std::atomic<bool> waiting{true};
    std::atomic<bool> finished{false};
  };

  InProcessOptions options_;
  bool spins_;
  std::vector<RankState> ranks_;
  std::mutex turn_mutex_;
  std::condition_variable turn_ended_;
  bool turn_taken_ = false;
  std::mutex failure_mutex_;
  std::optional<RankFailure> failure_;
  std::atomic<bool> failed_{false};
};

/// Lets others take their turn while this rank waits.
class WaitingTurn {
 public:
  WaitingTurn(World& world, int rank) : world_(world), rank_(rank) { world_.end_turn(rank_); }
  ~WaitingTurn() { world_.begin_turn(rank_); }
  WaitingTurn(const WaitingTurn&) = delete;
  WaitingTurn& operator=(const WaitingTurn&) = delete;

 private:
  World& world_;
  int rank_;
};

}  // namespace meshplan::runtime::in_process
