#include "runtime/cuda/local_seat.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "runtime/cuda/check.h"
#include "runtime/cuda/partition.h"
#include "runtime/cuda/reduce.h"

namespace meshplan::runtime::cuda {
namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

/// A plain value as a message of floats, whose bits nobody touches.
template <class T>
constexpr std::size_t kFloats = (sizeof(T) + sizeof(float) - 1) / sizeof(float);

template <class T>
std::array<float, kFloats<T>> as_floats(const T& value) {
  std::array<float, kFloats<T>> message{};
  std::memcpy(message.data(), &value, sizeof(T));
  return message;
}

/// What a sender tells its receiver.
struct Letter {
  void* memory = nullptr;
  std::size_t bytes = 0;
  cudaEvent_t written = nullptr;
};

}  // namespace

LocalSeat::LocalSeat(CudaDevice& device, Communicator& host, std::shared_ptr<MailMemory> mail,
                     Queue queue)
    : device_(device), host_(host), mail_(std::move(mail)), queue_(queue) {
  require(host.size() <= kMostLocalRanks, "more than 64 virtual ranks on one device");
  for (cudaEvent_t& event : events_) event = mail_->take_event();
}

LocalSeat::LocalSeat(CudaDevice& device, std::unique_ptr<Communicator> host,
                     std::shared_ptr<MailMemory> mail, Queue queue)
    : LocalSeat(device, *host, std::move(mail), queue) {
  owned_ = std::move(host);
}

LocalSeat::~LocalSeat() {
  // Another rank may be about to wait for the last of them: a later moment of a group that is
  // gone by then costs it nothing.
  for (cudaEvent_t event : events_) mail_->give_back_event(event);
}

std::vector<LocalSeat::Shown> LocalSeat::meet(ConstBuffer elements) {
  const cudaEvent_t ready = events_[next_event_];
  next_event_ = (next_event_ + 1) % events_.size();
  check(cudaEventRecord(ready, stream()), "cudaEventRecord");
  // Shown as writable; those that came in as const are only read.
  const Shown mine{const_cast<void*>(elements.data), elements.count, ready, elements.type};
  const auto message = as_floats(mine);
  std::vector<float> messages(message.size() * static_cast<std::size_t>(size()));
  host_.all_gather(message, messages);
  std::vector<Shown> shown(static_cast<std::size_t>(size()));
  for (int r = 0; r < size(); ++r) {
    Shown& theirs = shown[static_cast<std::size_t>(r)];
    std::memcpy(static_cast<void*>(&theirs),
                messages.data() + static_cast<std::size_t>(r) * message.size(), sizeof(Shown));
    require(theirs.type == elements.type && theirs.count == elements.count,
            "ranks show buffers of different shape");
    if (r == rank()) continue;
    check(cudaStreamWaitEvent(stream(), theirs.ready, cudaEventWaitDefault), "cudaStreamWaitEvent");
  }
  return shown;
}

void LocalSeat::copy(const void* from, void* to, std::size_t bytes) {
  if (bytes == 0 || from == to) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "cudaMemcpyAsync");
}

void LocalSeat::reduce_into(Buffer mine, const std::vector<Shown>& shown, std::size_t begin,
                            Reduction reduction) {
  Reduce op;
  op.ranks = size();
  for (std::size_t r = 0; r < shown.size(); ++r) op.from[r] = shown[r].data;
  op.out = mine.data;
  op.begin = static_cast<std::int64_t>(begin);
  op.count = static_cast<std::int64_t>(mine.count);
  op.type = mine.type;
  op.reduction = reduction;
  reduce(op, device_.kernels(), stream());
}

void LocalSeat::all_reduce(Buffer elements, Reduction reduction) {
  if (size() == 1) return;
  const auto share = [&](const Buffer& whole, int r) {
    const auto n = static_cast<long long>(whole.count);
    const auto begin = static_cast<std::size_t>(share_begin(n, size(), r));
    return whole.part(begin, static_cast<std::size_t>(share_begin(n, size(), r + 1)) - begin);
  };
  // Only rank r touches share r of anybody's buffer before the second meeting, and only other
  // shares of its own buffer after it: in place without copies.
  const std::vector<Shown> shown = meet(elements);
  const auto begin =
      static_cast<std::size_t>(share_begin(static_cast<long long>(elements.count), size(), rank()));
  reduce_into(share(elements, rank()), shown, begin, reduction);
  meet(elements);
  for (int r = 0; r < size(); ++r) {
    if (r == rank()) continue;
    const Shown& theirs = shown[static_cast<std::size_t>(r)];
    const Buffer from = share({theirs.data, theirs.count, theirs.type}, r);
    copy(from.data, share(elements, r).data, from.bytes());
  }
  meet(elements);  // nobody writes what others still read
}

void LocalSeat::all_gather(ConstBuffer mine, Buffer all) {
  require(all.count == mine.count * static_cast<std::size_t>(size()),
          "all_gather: the parts do not fill the whole");
  const std::vector<Shown> shown = meet(mine);
  for (std::size_t r = 0; r < shown.size(); ++r) {
    copy(shown[r].data, all.part(r * mine.count, mine.count).data, mine.bytes());
  }
  meet(mine);
}

void LocalSeat::reduce_scatter(ConstBuffer all, Buffer mine) {
  require(all.count == mine.count * static_cast<std::size_t>(size()),
          "reduce_scatter: the parts do not fill the whole");
  const std::vector<Shown> shown = meet(all);
  reduce_into(mine, shown, mine.count * static_cast<std::size_t>(rank()), Reduction::Sum);
  meet(all);
}

void LocalSeat::broadcast(Buffer elements, int root) {
  const std::vector<Shown> shown = meet(elements);
  copy(shown.at(static_cast<std::size_t>(root)).data, elements.data, elements.bytes());
  meet(elements);
}

void LocalSeat::all_to_all(ConstBuffer mine, Buffer theirs) {
  const auto ranks = static_cast<std::size_t>(size());
  require(mine.count == theirs.count && mine.count % ranks == 0,
          "all_to_all: buffers are not size() equal parts");
  const std::size_t width = mine.count / ranks;
  const std::vector<Shown> shown = meet(mine);
  for (std::size_t r = 0; r < ranks; ++r) {
    const ConstBuffer from = ConstBuffer(shown[r].data, shown[r].count, shown[r].type)
                                 .part(static_cast<std::size_t>(rank()) * width, width);
    copy(from.data, theirs.part(r * width, width).data, from.bytes());
  }
  meet(mine);
}

void LocalSeat::barrier() {
  if (size() > 1) meet(ConstBuffer{});
}

void LocalSeat::send(ConstBuffer elements, int peer, int tag) {
  void* const memory = mail_->take(std::max<std::size_t>(elements.bytes(), 1), stream());
  copy(elements.data, memory, elements.bytes());
  const cudaEvent_t written = mail_->take_event();
  check(cudaEventRecord(written, stream()), "cudaEventRecord");
  host_.send(as_floats(Letter{memory, elements.bytes(), written}), peer, tag);
}

void LocalSeat::receive(Buffer elements, int peer, int tag) {
  std::array<float, kFloats<Letter>> message{};
  host_.receive(message, peer, tag);
  Letter letter;
  std::memcpy(static_cast<void*>(&letter), message.data(), sizeof(Letter));
  require(letter.bytes == elements.bytes(), "receive: the message has another size");
  check(cudaStreamWaitEvent(stream(), letter.written, cudaEventWaitDefault), "cudaStreamWaitEvent");
  mail_->give_back_event(letter.written);
  copy(letter.memory, elements.data, letter.bytes);
  mail_->give_back(letter.memory, std::max<std::size_t>(letter.bytes, 1), stream());
}

void LocalSeat::exchange(std::span<const Transfer> transfers) {
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Send) send(t.elements, t.peer, t.tag);
  }
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Receive) receive(t.elements, t.peer, t.tag);
  }
}

std::unique_ptr<Communicator> LocalSeat::split(int colour, int key, Queue queue) {
  return std::make_unique<LocalSeat>(device_, host_.split(colour, key), mail_, queue);
}

}  // namespace meshplan::runtime::cuda
