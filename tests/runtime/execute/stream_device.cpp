#include "stream_device.h"

#include <chrono>
#include <cstring>
#include <new>
#include <utility>

namespace meshplan::runtime {
namespace {

constexpr std::align_val_t kAlignment{64};

/// A group whose calls run on a queue of a StreamDevice.
class StreamSeat final : public Communicator {
 public:
  StreamSeat(StreamDevice& device, std::unique_ptr<Communicator> owned, Communicator& host,
             Queue queue)
      : device_(device), owned_(std::move(owned)), host_(host), queue_(queue) {}

  [[nodiscard]] int rank() const override { return host_.rank(); }
  [[nodiscard]] int size() const override { return host_.size(); }
  [[nodiscard]] Queue queue() const override { return queue_; }

  void all_reduce(Buffer elements, Reduction reduction) override {
    issue([=, this] { host_.all_reduce(elements, reduction); });
  }
  void all_gather(ConstBuffer mine, Buffer all) override {
    issue([=, this] { host_.all_gather(mine, all); });
  }
  void reduce_scatter(ConstBuffer all, Buffer mine) override {
    issue([=, this] { host_.reduce_scatter(all, mine); });
  }
  void broadcast(Buffer elements, int root) override {
    issue([=, this] { host_.broadcast(elements, root); });
  }
  void all_to_all(ConstBuffer mine, Buffer theirs) override {
    issue([=, this] { host_.all_to_all(mine, theirs); });
  }
  void barrier() override {
    issue([this] { host_.barrier(); });
  }
  void send(ConstBuffer elements, int peer, int tag) override {
    issue([=, this] { host_.send(elements, peer, tag); });
  }
  void await(int, int) override {}
  void receive(Buffer elements, int peer, int tag) override {
    issue([=, this] { host_.receive(elements, peer, tag); });
  }
  void exchange(std::span<const Transfer> transfers) override {
    const std::vector<Transfer> all(transfers.begin(), transfers.end());
    issue([all, this] { host_.exchange(all); });
  }
  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override {
    device_.wait();
    auto part = host_.split(colour, key);
    Communicator& host = *part;
    return std::make_unique<StreamSeat>(device_, std::move(part), host, queue);
  }
  std::optional<profiles::Seconds> estimated(CollectiveCall, std::size_t count,
                                             kernels::ElementType) override {
    return profiles::Seconds{1e-9 * static_cast<double>(count)};  // told apart from all else
  }
  void note(Place place) override { host_.note(place); }
  void fail(const std::string& reason) override { host_.fail(reason); }
  void look_for_failure() override { host_.look_for_failure(); }

 private:
  void issue(std::function<void()> work) { device_.issue(queue_, std::move(work)); }

  StreamDevice& device_;
  std::unique_ptr<Communicator> owned_;
  Communicator& host_;
  Queue queue_;
};

}  // namespace

StreamDevice::Stream::Stream() : thread_([this] { run(); }) {}

StreamDevice::Stream::~Stream() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StreamDevice::Stream::push(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
  }
  changed_.notify_all();
}

void StreamDevice::Stream::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return work_.empty() && !busy_; });
}

void StreamDevice::Stream::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !work_.empty(); });
    if (work_.empty()) return;
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    busy_ = true;
    lock.unlock();
    work();
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

StreamDevice::StreamDevice(Communicator& host) {
  for (int q = 0; q < kQueues; ++q) streams_.push_back(std::make_unique<Stream>());
  world_ = std::make_unique<StreamSeat>(*this, nullptr, host, Queue::Compute);
}

StreamDevice::~StreamDevice() {
  kept_.clear();
  streams_.clear();
  for (const auto& [memory, whole] : apart_) ::operator delete(memory, kAlignment);
  for (const auto& [size, blocks] : idle_) {
    for (void* block : blocks) {
      if (!apart_.contains(block)) ::operator delete(block, kAlignment);
    }
  }
}

void StreamDevice::issue(Queue queue, std::function<void()> work) {
  streams_[static_cast<std::size_t>(queue)]->push([this, work = std::move(work)] {
    {
      const std::lock_guard lock(error_mutex_);
      if (error_) return;
    }
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      error_ = std::current_exception();
    }
  });
}

void StreamDevice::look_for_error() {
  const std::lock_guard lock(error_mutex_);
  if (error_) std::rethrow_exception(error_);
}

void* StreamDevice::allocate(profiles::Bytes size, MemoryTerm term, Queue first_user) {
  counter_.take(size, term);
  std::vector<void*>& blocks = idle_[size.count];
  if (first_user == Queue::Compute && !blocks.empty()) {
    void* const memory = blocks.back();
    blocks.pop_back();
    return memory;
  }
  void* const memory = ::operator new(static_cast<std::size_t>(size.count), kAlignment);
  if (first_user != Queue::Compute) apart_[memory] = true;
  return memory;
}

void StreamDevice::release(void* memory, profiles::Bytes size, MemoryTerm term) {
  counter_.give_back(size, term);
  // What a transfer wrote first is not used again: its queue would have to wait.
  if (!apart_.contains(memory)) idle_[size.count].push_back(memory);
}

void StreamDevice::keep(std::shared_ptr<const void> owner, Moment moment) {
  constexpr std::size_t kKept = 2;
  kept_.emplace_back(std::move(owner), moment);
  while (kept_.size() > kKept) {
    order(kept_.front().second, Queue::Compute);
    kept_.pop_front();
  }
}

void StreamDevice::launch(const kernels::Operation& operation) {
  issue(Queue::Compute, [this, operation] { kernels::cpu::run(operation, kernels_); });
}

void StreamDevice::upload(std::span<const std::byte> host, void* memory) {
  const std::vector<std::byte> copy(host.begin(), host.end());
  issue(Queue::Compute, [copy, memory] {
    if (!copy.empty()) std::memcpy(memory, copy.data(), copy.size());
  });
}

void StreamDevice::download(const void* memory, std::span<std::byte> host) {
  streams_[static_cast<std::size_t>(Queue::Compute)]->drain();
  look_for_error();
  if (!host.empty()) std::memcpy(host.data(), memory, host.size());
}

void StreamDevice::wait() {
  for (const auto& stream : streams_) stream->drain();
  look_for_error();
}

Moment StreamDevice::record(Queue queue) {
  const auto event = std::make_shared<Event>();
  events_.push_back(event);
  // Also after an error, so that nothing waits for ever.
  streams_[static_cast<std::size_t>(queue)]->push([event] {
    const std::lock_guard lock(event->mutex);
    event->passed = true;
    event->when = std::chrono::steady_clock::now().time_since_epoch();
    event->changed.notify_all();
  });
  return {static_cast<std::int64_t>(events_.size())};
}

void StreamDevice::order(Moment moment, Queue queue) {
  const auto event = events_.at(static_cast<std::size_t>(moment.mark - 1));
  streams_[static_cast<std::size_t>(queue)]->push([event] {
    std::unique_lock lock(event->mutex);
    event->changed.wait(lock, [&] { return event->passed; });
  });
}

profiles::Seconds StreamDevice::at(Moment moment) const {
  return events_.at(static_cast<std::size_t>(moment.mark - 1))->when;
}

}  // namespace meshplan::runtime
