#include "runtime/communicator/in_process_seat.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace meshplan::runtime::in_process {
namespace {

using kernels::Bf16;
using kernels::ElementType;

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void copy(ConstBuffer from, Buffer to) {
  require(from.type == to.type && from.count == to.count, "ranks show buffers of different shape");
  // In-place calls name the same memory, which others may read at this moment.
  if (from.empty() || from.data == to.data) return;
  std::memcpy(to.data, from.data, from.bytes());
}

/// A stretch of sums in fp32.
using Sums = std::array<float, 1024>;

void load(const float* from, std::size_t n, float* to) { std::copy_n(from, n, to); }
void load(const Bf16* from, std::size_t n, float* to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = kernels::to_float(from[i]);
}
void store(const float* from, std::size_t n, float* to) { std::copy_n(from, n, to); }
void store(const float* from, std::size_t n, Bf16* to) {
  for (std::size_t i = 0; i < n; ++i) to[i] = kernels::to_bf16(from[i]);
}
float value(float x) { return x; }
float value(Bf16 x) { return kernels::to_float(x); }

template <typename Element>
void reduce(Group& group, Buffer mine, Reduction reduction, std::size_t begin) {
  Sums sum;
  const auto shown = [&](int r) {
    return static_cast<const Element*>(group.shown(r).data) + begin;
  };
  for (std::size_t at = 0; at < mine.count; at += sum.size()) {
    const std::size_t n = std::min(sum.size(), mine.count - at);
    load(shown(0) + at, n, sum.data());
    for (int r = 1; r < group.size(); ++r) {
      const Element* theirs = shown(r) + at;
      if (reduction == Reduction::Sum) {
        for (std::size_t i = 0; i < n; ++i) sum[i] += value(theirs[i]);
      } else {
        for (std::size_t i = 0; i < n; ++i) sum[i] = std::max(sum[i], value(theirs[i]));
      }
    }
    store(sum.data(), n, static_cast<Element*>(mine.data) + at);
  }
}

}  // namespace

void Seat::show(ConstBuffer elements) {
  // Shown as writable; those that came in as const are only read.
  group_->show(rank_, {const_cast<void*>(elements.data), elements.count, elements.type});
}

Buffer Seat::share(Buffer elements, int rank) const {
  const std::size_t begin = share_begin(elements.count, rank);
  return elements.part(begin, share_begin(elements.count, rank + 1) - begin);
}

void Seat::reduce_into(Buffer mine, Reduction reduction, std::size_t begin) const {
  const Group::Reading reading(*group_);
  for (int r = 0; r < size(); ++r) {
    require(group_->shown(r).type == mine.type, "ranks reduce elements of different types");
  }
  if (mine.type == ElementType::F32) {
    reduce<float>(*group_, mine, reduction, begin);
  } else {
    reduce<Bf16>(*group_, mine, reduction, begin);
  }
}

void Seat::all_reduce(Buffer elements, Reduction reduction) {
  if (size() == 1) return;
  show(elements);
  meet("all_reduce");
  // Only rank r reads or writes share r of anybody's buffer before the next meeting, and only
  // other shares of its own buffer after it: in place without copies.
  reduce_into(share(elements, rank_), reduction, share_begin(elements.count, rank_));
  meet("all_reduce");
  {
    const Group::Reading reading(*group_);
    for (int r = 0; r < size(); ++r) {
      if (r != rank_) copy(share(group_->shown(r), r), share(elements, r));
    }
  }
  meet("all_reduce");
}

void Seat::all_gather(ConstBuffer mine, Buffer all) {
  require(all.count == mine.count * size(), "all_gather: the parts do not fill the whole");
  show(mine);
  meet("all_gather");
  {
    const Group::Reading reading(*group_);
    for (int r = 0; r < size(); ++r) copy(group_->shown(r), all.part(r * mine.count, mine.count));
  }
  meet("all_gather");
}

void Seat::reduce_scatter(ConstBuffer all, Buffer mine) {
  require(all.count == mine.count * size(), "reduce_scatter: the parts do not fill the whole");
  show(all);
  meet("reduce_scatter");
  reduce_into(mine, Reduction::Sum, mine.count * rank_);
  meet("reduce_scatter");
}

void Seat::broadcast(Buffer elements, int root) {
  show(elements);
  meet("broadcast");
  if (rank_ != root) {
    const Group::Reading reading(*group_);
    copy(group_->shown(root), elements);
  }
  meet("broadcast");
}

void Seat::all_to_all(ConstBuffer mine, Buffer theirs) {
  require(mine.count == theirs.count && mine.count % size() == 0,
          "all_to_all: buffers are not size() equal parts");
  show(mine);
  meet("all_to_all");
  const std::size_t width = mine.count / size();
  {
    const Group::Reading reading(*group_);
    for (int r = 0; r < size(); ++r) {
      copy(group_->shown(r).part(rank_ * width, width), theirs.part(r * width, width));
    }
  }
  meet("all_to_all");
}

void Seat::send(ConstBuffer elements, int peer, int tag) {
  const auto* bytes = static_cast<const std::byte*>(elements.data);
  group_->post(rank_, peer, tag, Message(bytes, bytes + elements.bytes()));
}

void Seat::receive(Buffer elements, int peer, int tag) {
  const Message message = group_->take_mail(peer, rank_, tag);
  require(message.size() == elements.bytes(), "receive: the message has another size");
  if (!message.empty()) std::memcpy(elements.data, message.data(), message.size());
}

void Seat::exchange(std::span<const Transfer> transfers) {
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Send) send(t.elements, t.peer, t.tag);
  }
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Receive) receive(t.elements, t.peer, t.tag);
  }
}

std::unique_ptr<Communicator> Seat::split(int colour, int key, Queue queue) {
  auto [part, rank] = group_->split(rank_, colour, key);
  return std::make_unique<Seat>(std::move(part), rank, queue);
}

}  // namespace meshplan::runtime::in_process
