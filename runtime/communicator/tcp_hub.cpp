#include "runtime/communicator/tcp_hub.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace meshplan::runtime::tcp {

std::vector<std::byte> packed(const std::vector<Place>& places, const std::string& reason) {
  const auto count = static_cast<std::uint64_t>(places.size());
  std::vector<std::byte> bytes(sizeof(count) + count * sizeof(Place) + reason.size());
  std::memcpy(bytes.data(), &count, sizeof(count));
  if (count > 0) std::memcpy(bytes.data() + sizeof(count), places.data(), count * sizeof(Place));
  if (!reason.empty()) {
    std::memcpy(bytes.data() + sizeof(count) + count * sizeof(Place), reason.data(), reason.size());
  }
  return bytes;
}

void unpack(const std::vector<std::byte>& bytes, std::vector<Place>& places, std::string& reason) {
  std::uint64_t count = 0;
  if (bytes.size() < sizeof(count)) return;
  std::memcpy(&count, bytes.data(), sizeof(count));
  const std::size_t head = sizeof(count);
  if (count > (bytes.size() - head) / sizeof(Place)) return;
  places.resize(count);
  if (count > 0) {
    std::memcpy(static_cast<void*>(places.data()), bytes.data() + head, count * sizeof(Place));
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + head + count * sizeof(Place);
  reason.assign(text, reinterpret_cast<const char*>(bytes.data()) + bytes.size());
}

Hub::Hub(int port, int ranks, profiles::Seconds timeout)
    : listener_(listening(port)), ranks_(static_cast<std::size_t>(ranks)) {
  thread_ = std::thread([this, timeout] { serve(timeout); });
}

Hub::~Hub() { thread_.join(); }

bool Hub::gather(profiles::Seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::size_t missing = ranks_.size();
  while (missing > 0) {
    const profiles::Seconds left = deadline - std::chrono::steady_clock::now();
    Socket socket = accepted(listener_, left, timeout);
    if (socket.descriptor() < 0) {
      if (left.count() <= 0) return false;
      continue;
    }
    Message hello;
    if (!socket.read(hello, 0) || hello.header.kind != Kind::Hello) continue;  // somebody else
    const auto from = static_cast<std::size_t>(hello.header.from);
    if (from >= ranks_.size() || ranks_[from].there ||
        hello.header.ranks != static_cast<std::int32_t>(ranks_.size())) {
      tell_failure(0, "two runs meet at one port, or ranks disagree on how many they are");
      return false;
    }
    ranks_[from].socket = std::move(socket);
    ranks_[from].there = true;
    --missing;
  }
  return true;
}

void Hub::serve(profiles::Seconds timeout) {
  if (!gather(timeout)) {
    std::string absent;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (!ranks_[r].there) absent += (absent.empty() ? "" : ", ") + std::to_string(r);
    }
    tell_failure(
        0, "rank " + absent + " did not come within " + std::to_string(timeout.count()) + " s");
  }
  for (const Rank& rank : ranks_) {
    if (!rank.there) continue;
    Header all_there;
    all_there.kind = Kind::Hello;
    (void)rank.socket.write(all_there, nullptr);  // a rank that is gone is noticed below
  }
  for (;;) {
    std::vector<pollfd> waiting;
    std::vector<int> who;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (!ranks_[r].there) continue;
      waiting.push_back({ranks_[r].socket.descriptor(), POLLIN, 0});
      who.push_back(static_cast<int>(r));
    }
    if (waiting.empty()) return;
    // A rank that hangs does not keep the others from ending.
    constexpr auto kGrace = std::chrono::seconds(2);
    if (failed_ && std::chrono::steady_clock::now() - failed_at_ > kGrace) return;
    constexpr int kGlanceMilliseconds = 200;
    if (poll(waiting.data(), waiting.size(), kGlanceMilliseconds) <= 0) continue;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      Rank& rank = ranks_[static_cast<std::size_t>(who[i])];
      Message message;
      if (rank.socket.read(message)) {
        handle(who[i], message);
      } else {
        rank.there = false;
        tell_failure(who[i],
                     "rank " + std::to_string(who[i]) + ": its process ended, or its connection");
      }
    }
  }
}

void Hub::handle(int rank, const Message& message) {
  const auto from = static_cast<std::size_t>(rank);
  switch (message.header.kind) {
    case Kind::Hello:
      break;
    case Kind::Mail: {
      const auto to = static_cast<std::size_t>(message.header.to);
      if (to < ranks_.size() && ranks_[to].there) {
        (void)ranks_[to].socket.write(message.header, message.bytes.data());
      }
      break;
    }
    case Kind::Place:
      if (message.bytes.size() == sizeof(Place)) {
        std::memcpy(static_cast<void*>(&ranks_[from].place), message.bytes.data(), sizeof(Place));
      }
      break;
    case Kind::Fail:
      tell_failure(rank,
                   {reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size()});
      break;
    case Kind::Goodbye:
      ranks_[from].there = false;
      ranks_[from].socket.shut_down();
      break;
  }
}

/// The first failure counts.
void Hub::tell_failure(int rank, const std::string& reason) {
  if (failed_) return;
  failed_ = true;
  failed_at_ = std::chrono::steady_clock::now();
  std::vector<Place> places;
  for (const Rank& r : ranks_) places.push_back(r.place);
  const std::vector<std::byte> bytes = packed(places, reason);
  Header header;
  header.kind = Kind::Fail;
  header.from = rank;
  header.size = bytes.size();
  for (const Rank& r : ranks_) {
    if (r.there) (void)r.socket.write(header, bytes.data());
  }
}

}  // namespace meshplan::runtime::tcp
