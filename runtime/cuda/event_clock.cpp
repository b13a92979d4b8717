#include "runtime/cuda/event_clock.h"

#include <chrono>

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {
namespace {

using profiles::Seconds;

constexpr std::size_t kAnchor = 256;

Seconds host_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

Seconds distance(cudaEvent_t from, cudaEvent_t to) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
  return Seconds{static_cast<double>(milliseconds) * 1e-3};
}

}  // namespace

Epoch::Epoch() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  Seconds quickest{1e9};
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    const Seconds before = host_now();
    check(cudaEventRecord(event, stream), "cudaEventRecord");
    check(cudaEventSynchronize(event), "cudaEventSynchronize");
    const Seconds after = host_now();
    if (after - before < quickest) {
      quickest = after - before;
      host_ = before + (after - before) / 2;
      std::swap(event, event_);
    }
    if (event != nullptr) check(cudaEventDestroy(event), "cudaEventDestroy");
  }
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
}

Epoch::~Epoch() { cudaEventDestroy(event_); }

EventClock::~EventClock() {
  for (cudaEvent_t event : events_) cudaEventDestroy(event);
}

Moment EventClock::record(cudaStream_t stream) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  events_.push_back(event);
  check(cudaEventRecord(event, stream), "cudaEventRecord");
  return {static_cast<std::int64_t>(events_.size())};
}

bool EventClock::passed(Moment moment) const {
  const cudaError_t status = cudaEventQuery(event(moment));
  if (status == cudaErrorNotReady) return false;
  check(status, "cudaEventQuery");
  return true;
}

Seconds EventClock::at(Moment moment) const {
  const std::size_t i = index(moment);
  while (anchors_.size() <= i / kAnchor) {
    const std::size_t next = anchors_.size();
    anchors_.push_back(next == 0 ? epoch_->host() + distance(epoch_->event(), events_[0])
                                 : anchors_.back() + distance(events_[(next - 1) * kAnchor],
                                                              events_[next * kAnchor]));
  }
  const std::size_t anchor = i / kAnchor;
  return anchors_[anchor] + distance(events_[anchor * kAnchor], events_.at(i));
}

}  // namespace meshplan::runtime::cuda
