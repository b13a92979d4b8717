#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "profiles/units.h"
#include "runtime/cuda/handles.h"
#include "runtime/device/device.h"

namespace meshplan::runtime::cuda {

/// One moment that device and host both know; shared by the ranks of a device, so that their
/// times compare to the resolution of events (about half a microsecond).
class Epoch {
 public:
  /// On the current device; waits for it a few times and keeps the quickest.
  Epoch();

  [[nodiscard]] cudaEvent_t event() const { return event_.get(); }
  /// On the host's steady clock.
  [[nodiscard]] profiles::Seconds host() const { return host_; }

 private:
  Event event_;
  profiles::Seconds host_{0};
};

/// Records moments on the streams of one device and tells when they were. Keeps the time of each,
/// and the events of the last few thousand: an event is recorded anew once its moment is told.
///
/// Distances between events come as floats of milliseconds, which lose microseconds over many
/// seconds, so they are added up from anchor to anchor, a few seconds apart.
class EventClock {
 public:
  explicit EventClock(std::shared_ptr<const Epoch> epoch);

  Moment record(cudaStream_t stream);
  /// What is issued to `stream` from now on starts after `moment`.
  void order(Moment moment, cudaStream_t stream);
  [[nodiscard]] bool passed(Moment moment) const;
  /// Of a moment that has passed, as all before it have, on the host's steady clock.
  [[nodiscard]] profiles::Seconds at(Moment moment);

  /// More events than a device has launches under way, so that the oldest has passed when it is
  /// needed again.
  static constexpr std::size_t kEvents = 4096;

 private:
  static std::size_t index(Moment moment) { return static_cast<std::size_t>(moment.mark - 1); }
  /// The event of a moment whose time is not told yet; null for others.
  [[nodiscard]] cudaEvent_t event(Moment moment) const;
  /// Tells the time of the oldest moment that has an event, and frees that.
  void tell_oldest();

  std::shared_ptr<const Epoch> epoch_;
  std::vector<profiles::Seconds> told_;  ///< times of the first moments
  std::deque<Event> events_;             ///< of those that follow
  std::vector<Event> idle_;
  Event anchor_;  ///< of a told moment; null: the epoch's
  profiles::Seconds anchor_time_;
};

}  // namespace meshplan::runtime::cuda
