#include "runtime/communicator/tcp_seat.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace meshplan::runtime::tcp {
namespace {

/// Of collectives; messages of callers have tags >= 0.
constexpr int kCollective = -1;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

float element(ConstBuffer buffer, std::size_t i) {
  return buffer.type == kernels::ElementType::F32
             ? static_cast<const float*>(buffer.data)[i]
             : kernels::to_float(static_cast<const kernels::Bf16*>(buffer.data)[i]);
}

void set_element(Buffer buffer, std::size_t i, float value) {
  if (buffer.type == kernels::ElementType::F32) {
    static_cast<float*>(buffer.data)[i] = value;
  } else {
    static_cast<kernels::Bf16*>(buffer.data)[i] = kernels::to_bf16(value);
  }
}

/// The number of a group that came out of another one.
std::uint64_t part_of(std::uint64_t group, std::uint64_t split, int colour) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a, by words
  for (const std::uint64_t word : {group, split, static_cast<std::uint64_t>(colour)}) {
    hash = (hash ^ word) * 1099511628211U;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

Seat::Seat(std::shared_ptr<World> world, std::vector<int> members, int rank, std::uint64_t group,
           Queue queue)
    : world_(std::move(world)),
      members_(std::move(members)),
      rank_(rank),
      group_(group),
      queue_(queue) {}

void Seat::send(ConstBuffer elements, int peer, int tag) {
  world_->send(members_.at(static_cast<std::size_t>(peer)), group_, tag, elements.data,
               elements.bytes());
}

void Seat::await(int peer, int tag) {
  world_->await(members_.at(static_cast<std::size_t>(peer)), group_, tag);
}

void Seat::receive(Buffer elements, int peer, int tag) {
  const std::vector<std::byte> bytes =
      world_->receive(members_.at(static_cast<std::size_t>(peer)), group_, tag);
  require(bytes.size() == elements.bytes(), "receive: the message has another size");
  if (!bytes.empty()) std::memcpy(elements.data, bytes.data(), bytes.size());
}

void Seat::all_reduce(Buffer elements, Reduction reduction) {
  if (rank_ != 0) {
    send(elements, 0, kCollective);
  } else {
    std::vector<float> sum(elements.count);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = element(elements, i);
    std::vector<std::byte> bytes(elements.bytes());
    const Buffer theirs(bytes.data(), elements.count, elements.type);
    for (int r = 1; r < size(); ++r) {
      receive(theirs, r, kCollective);
      for (std::size_t i = 0; i < sum.size(); ++i) {
        const float value = element(theirs, i);
        sum[i] = reduction == Reduction::Sum ? sum[i] + value : std::max(sum[i], value);
      }
    }
    for (std::size_t i = 0; i < sum.size(); ++i) set_element(elements, i, sum[i]);
  }
  broadcast(elements, 0);
}

void Seat::all_gather(ConstBuffer mine, Buffer all) {
  require(all.count == mine.count * members_.size(), "all_gather: the parts do not fill the whole");
  const auto part = [&](int r) {
    return all.part(static_cast<std::size_t>(r) * mine.count, mine.count);
  };
  if (part(rank_).data != mine.data && mine.count > 0) {
    std::memcpy(part(rank_).data, mine.data, mine.bytes());
  }
  if (rank_ != 0) {
    send(mine, 0, kCollective);
  } else {
    for (int r = 1; r < size(); ++r) receive(part(r), r, kCollective);
  }
  broadcast(all, 0);
}

void Seat::reduce_scatter(ConstBuffer all, Buffer mine) {
  require(all.count == mine.count * members_.size(),
          "reduce_scatter: the parts do not fill the whole");
  const auto* begin = static_cast<const std::byte*>(all.data);
  std::vector<std::byte> copy(begin, begin + all.bytes());
  const Buffer sums(copy.data(), all.count, all.type);
  all_reduce(sums, Reduction::Sum);
  const ConstBuffer part = sums.part(static_cast<std::size_t>(rank_) * mine.count, mine.count);
  if (mine.count > 0) std::memcpy(mine.data, part.data, part.bytes());
}

void Seat::broadcast(Buffer elements, int root) {
  if (rank_ != root) return receive(elements, root, kCollective);
  for (int r = 0; r < size(); ++r) {
    if (r != root) send(elements, r, kCollective);
  }
}

void Seat::all_to_all(ConstBuffer mine, Buffer theirs) {
  require(mine.count == theirs.count && mine.count % members_.size() == 0,
          "all_to_all: buffers are not size() equal parts");
  const std::size_t width = mine.count / members_.size();
  for (int r = 0; r < size(); ++r) {
    send(mine.part(static_cast<std::size_t>(r) * width, width), r, kCollective);
  }
  for (int r = 0; r < size(); ++r) {
    receive(theirs.part(static_cast<std::size_t>(r) * width, width), r, kCollective);
  }
}

void Seat::barrier() { all_reduce(Buffer{}, Reduction::Sum); }

void Seat::exchange(std::span<const Transfer> transfers) {
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Send) send(t.elements, t.peer, t.tag);
  }
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Receive) receive(t.elements, t.peer, t.tag);
  }
}

std::unique_ptr<Communicator> Seat::split(int colour, int key, Queue queue) {
  // Ranks below 2^24 and their keys are exact as floats.
  const std::array<float, 2> mine = {static_cast<float>(colour), static_cast<float>(key)};
  std::vector<float> all(2 * members_.size());
  all_gather(mine, all);
  std::vector<std::pair<float, int>> order;  // key, rank here
  for (int r = 0; r < size(); ++r) {
    const auto i = static_cast<std::size_t>(2 * r);
    if (all[i] == mine[0]) order.emplace_back(all[i + 1], r);
  }
  std::sort(order.begin(), order.end());
  std::vector<int> members;
  int rank = 0;
  for (const auto& [their_key, r] : order) {
    if (r == rank_) rank = static_cast<int>(members.size());
    members.push_back(members_[static_cast<std::size_t>(r)]);
  }
  return std::make_unique<Seat>(world_, std::move(members), rank,
                                part_of(group_, ++splits_, colour), queue);
}

}  // namespace meshplan::runtime::tcp
