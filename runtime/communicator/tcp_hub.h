#pragma once
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "runtime/communicator/rank_failure.h"
#include "runtime/communicator/tcp_wire.h"

namespace meshplan::runtime::tcp {

/// Where the ranks of a run meet, on a thread in the process of rank 0: takes in one connection a
/// rank, passes messages on, keeps how far each rank is, and tells all of them when one fails or
/// its connection ends without a goodbye.
class Hub {
 public:
  Hub(int port, int ranks, profiles::Seconds timeout);
  /// Waits until every rank has said goodbye or is gone; after a failure, no longer than a moment.
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

 private:
  struct Rank {
    Socket socket;
    bool there = false;
    Place place;
  };

  void serve(profiles::Seconds timeout);
  /// False: not all ranks came.
  bool gather(profiles::Seconds timeout);
  void handle(int rank, const Message& message);
  void tell_failure(int rank, const std::string& reason);

  Socket listener_;
  std::vector<Rank> ranks_;
  bool failed_ = false;
  std::chrono::steady_clock::time_point failed_at_;
  std::thread thread_;
};

/// The bytes of a failure: every rank's place, then the reason.
std::vector<std::byte> packed(const std::vector<Place>& places, const std::string& reason);
void unpack(const std::vector<std::byte>& bytes, std::vector<Place>& places, std::string& reason);

}  // namespace meshplan::runtime::tcp
