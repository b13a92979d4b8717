#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "played.h"

// What the calls of CUDA share: streams, events, and what the machine holds.

namespace meshplan::played {

using Clock = std::chrono::steady_clock;
inline constexpr int kMostDevices = 16;

/// One recording of an event: what waits for the event waits for the recording that it found. Never
/// freed: counting who still uses it would order threads.
struct Recording {
  std::atomic<std::uint32_t> done{0};
  Clock::time_point when;
};

}  // namespace meshplan::played

/// Created for a device, recorded on its streams.
struct CUevent_st {
  int device = 0;
  bool timed = true;
  std::mutex mutex;
  meshplan::played::Recording* recording = nullptr;  ///< the last; none: not recorded yet
};

/// A thread and the work issued to it. The host hands work over through `next` and hears of the end
/// of it through `done` only when it asks: so no order comes about that CUDA does not promise.
struct CUstream_st {
  struct Node {
    std::function<void()> work;  ///< none: the stream is destroyed
    std::atomic<Node*> next{nullptr};
  };

  CUstream_st(int ordinal, std::uint32_t number) : device(ordinal), seed(number) {
    std::thread([this] { run(); }).detach();
  }
  void push(std::function<void()> work) {
    auto* const node = new Node{std::move(work)};
    const std::lock_guard lock(issuing);
    ++issued;
    tail->next.store(node, std::memory_order_release);
    tail = node;
    signal.fetch_add(1, std::memory_order_release);
    meshplan::played::wake(&signal);
  }
  [[nodiscard]] std::uint32_t issued_so_far() {
    const std::lock_guard lock(issuing);
    return issued;
  }
  [[nodiscard]] bool passed(std::uint32_t count) const {
    return static_cast<std::int32_t>(done.load(std::memory_order_acquire) - count) >= 0;
  }
  void wait() {
    const std::uint32_t count = issued_so_far();
    for (;;) {
      const std::uint32_t now = done.load(std::memory_order_acquire);
      if (static_cast<std::int32_t>(now - count) >= 0) return;
      meshplan::played::wait_on(&done, now);
    }
  }
  void run();

  const int device;
  std::mutex issuing;
  std::uint32_t issued = 0, seed = 0;
  std::atomic<std::uint32_t> done{0}, signal{0};
  Node* tail = new Node;
  Node* head = tail;  ///< of the thread
};

namespace meshplan::played {

struct Block {
  char* map = nullptr;
  std::size_t map_size = 0, size = 0;
  int device = 0;  ///< -1: page-locked memory of the host
};

struct Failure {
  int error = 0, spared = 0;
};

/// Never destroyed: streams may outlive everything else of the process.
struct State {
  std::mutex mutex;
  std::map<const char*, Block> blocks, freed;  ///< by address
  std::set<cudaStream_t> streams;
  std::vector<std::unique_ptr<CUstream_st>> streams_ever;
  std::set<cudaEvent_t> events;
  std::deque<Recording> recordings;
  std::set<int> contexts;
  std::array<cudaStream_t, kMostDevices> legacy{};  ///< default streams, made when used
  std::array<std::int64_t, kMostDevices> used{};
  int green_contexts = 0, communicators = 0;
  std::array<std::atomic<int>, kMostDevices> broken{};
  std::array<std::atomic<bool>, kMostDevices> stalled{};

  std::mutex failures_mutex;
  std::map<std::string, Failure> failures;

  std::mutex reports_mutex;
  bool listening = false;
  std::vector<std::string> reports;
};
State& state();

/// Of the calling host thread.
extern thread_local int current;
extern thread_local cudaError_t last_error;

/// `status`, kept for cudaGetLastError.
cudaError_t said(cudaError_t status);
/// What every call on a device begins with: an error in store, or that of a broken device.
cudaError_t begun(const char* call, int device);
void start_context(int device);
/// A stream that exists; null stands for the current device's default stream.
cudaStream_t known(const char* call, cudaStream_t stream);
bool known(const char* call, cudaEvent_t event);
cudaStream_t made_stream(int device);
void wait_for_device(int device);

}  // namespace meshplan::played
