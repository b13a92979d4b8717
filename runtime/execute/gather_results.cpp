#include "runtime/execute/gather_results.h"

#include <array>
#include <chrono>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

namespace meshplan::runtime {
namespace {

using profiles::Seconds;

constexpr int kTag = 0;

Seconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

/// Values of any plain type as a message of floats, whose bits nobody touches.
template <typename T>
std::vector<float> as_floats(std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<float> message((values.size_bytes() + sizeof(float) - 1) / sizeof(float));
  if (!values.empty()) std::memcpy(message.data(), values.data(), values.size_bytes());
  return message;
}

template <typename T>
void send_values(Communicator& world, int peer, std::span<const T> values) {
  const std::array<std::uint64_t, 1> count = {values.size()};
  world.send(as_floats(std::span<const std::uint64_t>(count)), peer, kTag);
  if (!values.empty()) world.send(as_floats(values), peer, kTag);
}

template <typename T>
std::vector<T> receive_values(Communicator& world, int peer) {
  std::uint64_t count = 0;
  std::array<float, sizeof(count) / sizeof(float)> head{};
  world.receive(head, peer, kTag);
  std::memcpy(&count, head.data(), sizeof(count));
  std::vector<T> values(count);
  if (count == 0) return values;
  std::vector<float> message((count * sizeof(T) + sizeof(float) - 1) / sizeof(float));
  world.receive(message, peer, kTag);
  std::memcpy(static_cast<void*>(values.data()), message.data(), count * sizeof(T));
  return values;
}

constexpr int kRounds = 8;

/// How far the clock of `peer` is ahead of this one's; 0 where a message takes longer than that.
Seconds clock_ahead(Communicator& world, int peer) {
  Seconds best_trip{1e9}, ahead{0};
  for (int round = 0; round < kRounds; ++round) {
    const Seconds sent = now();
    send_values(world, peer, std::span<const Seconds>(&sent, 1));
    const Seconds there = receive_values<Seconds>(world, peer).front();
    const Seconds back = now();
    if (back - sent >= best_trip) continue;
    best_trip = back - sent;
    ahead = there - (sent + back) / 2;
  }
  return std::chrono::abs(ahead) > best_trip / 2 ? ahead : Seconds{0};
}
void answer_clock(Communicator& world) {
  for (int round = 0; round < kRounds; ++round) {
    receive_values<Seconds>(world, 0);
    const Seconds here = now();
    send_values(world, 0, std::span<const Seconds>(&here, 1));
  }
}

}  // namespace

std::vector<RankResult> gather_results(RankResult mine, Communicator& world) {
  if (world.rank() != 0) {
    answer_clock(world);
    send_values(world, 0, std::span<const double>(mine.losses));
    send_values(world, 0, std::span<const planner::Span>(mine.spans));
    send_values(world, 0, std::span<const Seconds>(mine.step_starts));
    const std::array<MemoryUse, 2> peaks = {mine.peak, mine.term_peaks};
    send_values(world, 0, std::span<const MemoryUse>(peaks));
    return {};
  }
  std::vector<RankResult> all(static_cast<std::size_t>(world.size()));
  all.front() = std::move(mine);
  for (int peer = 1; peer < world.size(); ++peer) {
    RankResult& result = all[static_cast<std::size_t>(peer)];
    const Seconds ahead = clock_ahead(world, peer);
    result.losses = receive_values<double>(world, peer);
    result.spans = receive_values<planner::Span>(world, peer);
    result.step_starts = receive_values<Seconds>(world, peer);
    const std::vector<MemoryUse> peaks = receive_values<MemoryUse>(world, peer);
    result.peak = peaks.at(0);
    result.term_peaks = peaks.at(1);
    for (planner::Span& span : result.spans) {
      span.start -= ahead;
      span.end -= ahead;
    }
    for (Seconds& start : result.step_starts) start -= ahead;
  }
  return all;
}

}  // namespace meshplan::runtime
