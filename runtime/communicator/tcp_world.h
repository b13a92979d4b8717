#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "runtime/communicator/tcp.h"
#include "runtime/communicator/tcp_wire.h"

namespace meshplan::runtime::tcp {

/// A rank's end of its connection: what has come for it, and who failed.
class World {
 public:
  /// Connects, and waits until all ranks are there.
  World(const Launch& launch, TcpOptions options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] int rank() const { return launch_.rank; }
  [[nodiscard]] int size() const { return launch_.ranks; }

  void send(int to, std::uint64_t group, int tag, const void* bytes, std::size_t size);
  /// Waits until a message lies there; it stays.
  void await(int from, std::uint64_t group, int tag);
  std::vector<std::byte> receive(int from, std::uint64_t group, int tag);

  /// Told to the others at most ten times a second; also later, by a rank that waits.
  void note(Place place);
  void fail(const std::string& reason);
  void look_for_failure();
  void say_goodbye();

 private:
  using Address = std::tuple<int, std::uint64_t, int>;  ///< from, group, tag

  void read();
  void write(Header header, const void* bytes);
  /// Tells where this rank is if the others know an older place, and have been told long ago.
  void tell_place(std::unique_lock<std::mutex>& lock);
  void wait(std::unique_lock<std::mutex>& lock, int from, const Address& address);
  void set_failure(int rank, const std::string& reason, const std::vector<Place>& places);
  void set_lost();

  Launch launch_;
  TcpOptions options_;
  Socket socket_;
  std::mutex writing_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Address, std::deque<std::vector<std::byte>>> mail_;
  std::optional<RankFailure> failure_;
  bool all_there_ = false, leaving_ = false;
  Place here_, told_;
  std::chrono::steady_clock::time_point told_at_;
  std::thread reader_;
};

}  // namespace meshplan::runtime::tcp
