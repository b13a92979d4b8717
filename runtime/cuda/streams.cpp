#include "runtime/cuda/streams.h"

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {
namespace {

/// Compute has the least urgent priority, communication the most urgent.
int priority_of(int queue) {
  int least = 0, most = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &most), "cudaDeviceGetStreamPriorityRange");
  return queue == static_cast<int>(Queue::Compute) ? least : most;
}

}  // namespace

std::shared_ptr<Streams> Streams::own() {
  const std::shared_ptr<Streams> out(new Streams);
  for (std::size_t q = 0; q < kQueues; ++q) {
    out->owned_[q] = stream_of_priority(priority_of(static_cast<int>(q)));
    out->streams_[q] = out->owned_[q].get();
  }
  return out;
}

std::shared_ptr<Streams> Streams::single() {
  const std::shared_ptr<Streams> out(new Streams);
  out->owned_.front() = stream_of_priority(0);
  out->streams_.fill(out->owned_.front().get());
  return out;
}

std::shared_ptr<Streams> Streams::of_partition(std::shared_ptr<GreenContexts> parts, int part,
                                               std::mutex& mutex) {
  const std::shared_ptr<Streams> out(new Streams);
  const std::lock_guard lock(mutex);
  for (int q = 0; q < kQueues; ++q) {
    out->streams_[static_cast<std::size_t>(q)] = parts->stream(part, priority_of(q));
  }
  out->parts_ = std::move(parts);
  return out;
}

}  // namespace meshplan::runtime::cuda
