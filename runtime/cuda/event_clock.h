#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "profiles/units.h"
#include "runtime/device/device.h"

namespace meshplan::runtime::cuda {

/// One moment that device and host both know; shared by the ranks of a device, so that their
/// times compare to the resolution of events (about half a microsecond).
class Epoch {
 public:
  /// On the current device; waits for it a few times and keeps the quickest.
  Epoch();
  ~Epoch();
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  [[nodiscard]] cudaEvent_t event() const { return event_; }
  /// On the host's steady clock.
  [[nodiscard]] profiles::Seconds host() const { return host_; }

 private:
  cudaEvent_t event_ = nullptr;
  profiles::Seconds host_{0};
};

/// Records moments on the streams of one device and tells when they were. Moments are kept until
/// the clock goes: a step has a few thousand.
class EventClock {
 public:
  explicit EventClock(std::shared_ptr<const Epoch> epoch) : epoch_(std::move(epoch)) {}
  ~EventClock();
  EventClock(const EventClock&) = delete;
  EventClock& operator=(const EventClock&) = delete;

  Moment record(cudaStream_t stream);
  [[nodiscard]] cudaEvent_t event(Moment moment) const { return events_.at(index(moment)); }
  [[nodiscard]] bool passed(Moment moment) const;
  /// Of a moment that has passed, on the host's steady clock.
  [[nodiscard]] profiles::Seconds at(Moment moment) const;

 private:
  static std::size_t index(Moment moment) { return static_cast<std::size_t>(moment.mark - 1); }

  std::shared_ptr<const Epoch> epoch_;
  std::vector<cudaEvent_t> events_;
  /// Times of every kAnchor-th moment: distances come as floats of milliseconds, which lose
  /// microseconds over many seconds, so they are added up from anchor to anchor.
  mutable std::vector<profiles::Seconds> anchors_;
};

}  // namespace meshplan::runtime::cuda
