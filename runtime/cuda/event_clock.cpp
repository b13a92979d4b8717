#include "runtime/cuda/event_clock.h"

#include <chrono>

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {
namespace {

using profiles::Seconds;

/// Half of the resolution of events, 0.5 us, is lost to a float of milliseconds after four seconds.
constexpr Seconds kAnchor{4};

Seconds host_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

Seconds distance(cudaEvent_t from, cudaEvent_t to) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
  return Seconds{static_cast<double>(milliseconds) * 1e-3};
}

}  // namespace

Epoch::Epoch() {
  const Stream stream = stream_of_priority(0);
  Seconds quickest{1e9};
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    Event event = timed_event();
    const Seconds before = host_now();
    check(cudaEventRecord(event.get(), stream.get()), "cudaEventRecord");
    check(cudaEventSynchronize(event.get()), "cudaEventSynchronize");
    const Seconds after = host_now();
    if (after - before < quickest) {
      quickest = after - before;
      host_ = before + (after - before) / 2;
      event_ = std::move(event);
    }
  }
}

EventClock::EventClock(std::shared_ptr<const Epoch> epoch)
    : epoch_(std::move(epoch)), anchor_time_(epoch_->host()) {}

cudaEvent_t EventClock::event(Moment moment) const {
  const std::size_t i = index(moment);
  return i < told_.size() ? nullptr : events_.at(i - told_.size()).get();
}

void EventClock::tell_oldest() {
  const cudaEvent_t from = anchor_ == nullptr ? epoch_->event() : anchor_.get();
  const Seconds since = distance(from, events_.front().get());
  told_.push_back(anchor_time_ + since);
  Event event = std::move(events_.front());
  events_.pop_front();
  if (since > kAnchor) {
    std::swap(event, anchor_);
    anchor_time_ = told_.back();
  }
  if (event != nullptr) idle_.push_back(std::move(event));
}

Moment EventClock::record(cudaStream_t stream) {
  const Moment oldest{static_cast<std::int64_t>(told_.size()) + 1};
  if (events_.size() >= kEvents && passed(oldest)) tell_oldest();
  if (idle_.empty()) idle_.push_back(timed_event());
  check(cudaEventRecord(idle_.back().get(), stream), "cudaEventRecord");
  events_.push_back(std::move(idle_.back()));
  idle_.pop_back();
  return {static_cast<std::int64_t>(told_.size() + events_.size())};
}

void EventClock::order(Moment moment, cudaStream_t stream) {
  if (cudaEvent_t waited = event(moment); waited != nullptr) {
    check(cudaStreamWaitEvent(stream, waited, cudaEventWaitDefault), "cudaStreamWaitEvent");
  }
}

bool EventClock::passed(Moment moment) const {
  const cudaEvent_t asked = event(moment);
  if (asked == nullptr) return true;
  const cudaError_t status = cudaEventQuery(asked);
  if (status == cudaErrorNotReady) return false;
  check(status, "cudaEventQuery");
  return true;
}

Seconds EventClock::at(Moment moment) {
  while (told_.size() <= index(moment)) tell_oldest();
  return told_[index(moment)];
}

}  // namespace meshplan::runtime::cuda
