#include "runtime/communicator/in_process_seat.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace meshplan::runtime::in_process {
namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void copy(std::span<const float> from, std::span<float> to) {
  // In-place calls name the same memory, which others may read at this moment.
  if (from.empty() || from.data() == to.data()) return;
  std::memcpy(to.data(), from.data(), from.size_bytes());
}

}  // namespace

void Seat::show(std::span<const float> elements) {
  // Shown as writable; those that came in as const are only read.
  group_->show(rank_, {const_cast<float*>(elements.data()), elements.size()});
}

std::span<float> Seat::share(std::span<float> elements, int rank) const {
  const std::size_t begin = share_begin(elements.size(), rank);
  return elements.subspan(begin, share_begin(elements.size(), rank + 1) - begin);
}

void Seat::reduce_into(std::span<float> mine, Reduction reduction, std::size_t begin) const {
  const Group::Reading reading(*group_);
  std::array<float, 1024> sum;
  for (std::size_t at = 0; at < mine.size(); at += sum.size()) {
    const std::size_t n = std::min(sum.size(), mine.size() - at);
    std::copy_n(group_->shown(0).data() + begin + at, n, sum.data());
    for (int r = 1; r < size(); ++r) {
      const float* theirs = group_->shown(r).data() + begin + at;
      if (reduction == Reduction::Sum) {
        for (std::size_t i = 0; i < n; ++i) sum[i] += theirs[i];
      } else {
        for (std::size_t i = 0; i < n; ++i) sum[i] = std::max(sum[i], theirs[i]);
      }
    }
    std::copy_n(sum.data(), n, mine.data() + at);
  }
}

void Seat::all_reduce(std::span<float> elements, Reduction reduction) {
  if (size() == 1) return;
  show(elements);
  meet("all_reduce");
  // Only rank r reads or writes share r of anybody's buffer before the next meeting, and only
  // other shares of its own buffer after it: in place without copies.
  reduce_into(share(elements, rank_), reduction, share_begin(elements.size(), rank_));
  meet("all_reduce");
  {
    const Group::Reading reading(*group_);
    for (int r = 0; r < size(); ++r) {
      if (r != rank_) copy(share(group_->shown(r), r), share(elements, r));
    }
  }
  meet("all_reduce");
}

void Seat::all_gather(std::span<const float> mine, std::span<float> all) {
  require(all.size() == mine.size() * size(), "all_gather: the parts do not fill the whole");
  show(mine);
  meet("all_gather");
  {
    const Group::Reading reading(*group_);
    for (int r = 0; r < size(); ++r) {
      copy(group_->shown(r), all.subspan(r * mine.size(), mine.size()));
    }
  }
  meet("all_gather");
}

void Seat::reduce_scatter(std::span<const float> all, std::span<float> mine) {
  require(all.size() == mine.size() * size(), "reduce_scatter: the parts do not fill the whole");
  show(all);
  meet("reduce_scatter");
  reduce_into(mine, Reduction::Sum, mine.size() * rank_);
  meet("reduce_scatter");
}

void Seat::broadcast(std::span<float> elements, int root) {
  show(elements);
  meet("broadcast");
  if (rank_ != root) {
    const Group::Reading reading(*group_);
    copy(group_->shown(root), elements);
  }
  meet("broadcast");
}

void Seat::all_to_all(std::span<const float> mine, std::span<float> theirs) {
  require(mine.size() == theirs.size() && mine.size() % size() == 0,
          "all_to_all: buffers are not size() equal parts");
  show(mine);
  meet("all_to_all");
  const std::size_t width = mine.size() / size();
  {
    const Group::Reading reading(*group_);
    for (int r = 0; r < size(); ++r) {
      copy(group_->shown(r).subspan(rank_ * width, width), theirs.subspan(r * width, width));
    }
  }
  meet("all_to_all");
}

void Seat::send(std::span<const float> elements, int peer, int tag) {
  group_->post(rank_, peer, tag, {elements.begin(), elements.end()});
}

void Seat::receive(std::span<float> elements, int peer, int tag) {
  const std::vector<float> message = group_->take_mail(peer, rank_, tag);
  require(message.size() == elements.size(), "receive: the message has another size");
  copy(message, elements);
}

void Seat::exchange(std::span<const Transfer> transfers) {
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Send) send(t.elements, t.peer, t.tag);
  }
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Receive) receive(t.elements, t.peer, t.tag);
  }
}

std::unique_ptr<Communicator> Seat::split(int colour, int key) {
  auto [part, rank] = group_->split(rank_, colour, key);
  return std::make_unique<Seat>(std::move(part), rank);
}

}  // namespace meshplan::runtime::in_process
