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
  for (int q = 0; q < kQueues; ++q) {
    check(cudaStreamCreateWithPriority(&out->streams_[static_cast<std::size_t>(q)],
                                       cudaStreamNonBlocking, priority_of(q)),
          "cudaStreamCreateWithPriority");
    out->owned_ = q + 1;
  }
  return out;
}

std::shared_ptr<Streams> Streams::single() {
  const std::shared_ptr<Streams> out(new Streams);
  check(cudaStreamCreateWithFlags(out->streams_.data(), cudaStreamNonBlocking),
        "cudaStreamCreateWithFlags");
  out->owned_ = 1;
  out->streams_.fill(out->streams_.front());
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

Streams::~Streams() {
  for (int q = 0; q < owned_; ++q) cudaStreamDestroy(streams_[static_cast<std::size_t>(q)]);
}

}  // namespace meshplan::runtime::cuda
