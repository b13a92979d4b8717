#pragma once
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "planner/layout/layout.h"
#include "runtime/communicator/communicator.h"
#include "runtime/device/device.h"

namespace meshplan::runtime {

/// The calls of one kind that a rank made in a group of the layout.
struct CollectiveTime {
  planner::Axis axis = planner::Axis::Tp;  ///< of the group
  CollectiveCall call = CollectiveCall::AllReduce;
  int ranks = 1;
  std::int64_t bytes = 0;  ///< of the whole buffer: reduced, gathered, scattered
  int count = 0;           ///< over all steps
  /// From the moment when the queue came to the call until it was done, waiting for slower ranks
  /// included.
  profiles::Seconds median{0}, least{0};
  std::optional<profiles::Seconds> estimated;  ///< by the library that moved the data
};

/// Watches the collectives of groups on an asynchronous device: two moments a call.
class CollectiveLog {
 public:
  explicit CollectiveLog(Device& device) : device_(device) {}

  /// `group` with its calls watched; none stays none. The log must outlive it.
  std::unique_ptr<Communicator> watched(std::unique_ptr<Communicator> group, planner::Axis axis);
  /// Forgets the calls so far, as those of a warm-up.
  void restart();
  /// By axis, call and bytes. Waits for the device, and asks every group for its estimates: all
  /// ranks call it while the groups live.
  std::vector<CollectiveTime> times();

 private:
  friend class WatchedGroup;
  using Key = std::tuple<planner::Axis, CollectiveCall, std::int64_t>;
  struct Calls {
    Communicator* group = nullptr;
    std::size_t elements = 0;
    kernels::ElementType type = kernels::ElementType::F32;
    std::vector<std::pair<Moment, Moment>> moments;
  };
  Device& device_;
  std::map<Key, Calls> calls_;
};

}  // namespace meshplan::runtime
