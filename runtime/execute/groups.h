#pragma once
#include <memory>

#include "planner/layout/layout.h"
#include "runtime/communicator/communicator.h"
#include "runtime/device/device.h"

namespace meshplan::runtime {

/// A rank's place on the axes of a layout (without context parallelism).
struct Coordinates {
  int tp = 0, dp = 0, pp = 0;
  friend bool operator==(const Coordinates&, const Coordinates&) = default;
};

/// Axes in the order of `layout.order`, the first varying fastest.
Coordinates coordinates_of(const planner::Layout& layout, int rank);

/// The groups that a rank communicates in. Made together by all ranks, in one order.
struct Groups {
  Coordinates here;
  std::unique_ptr<Communicator> tp;  ///< ranks that share layers, by tp
  std::unique_ptr<Communicator> dp;  ///< ranks with the same parameters, by dp
  /// Stages of one pipeline, by stage; a group for each direction, so that activations and
  /// gradients pass each other.
  std::unique_ptr<Communicator> pp_forward, pp_backward;
  /// The owners of the first and the last chunk of one pipeline (tied embeddings); on stages
  /// between them a group that nobody uses.
  std::unique_ptr<Communicator> ends;
  /// tp ranks that hold the same key and value heads, when there are fewer of those than tp ranks.
  std::unique_ptr<Communicator> same_kv_heads;
};

Groups make_groups(const planner::Layout& layout, int kv_heads, Communicator& world);

/// The same groups for rank `device.world().rank()` without the other ranks (lone.h), in the memory
/// of `device`, which must outlive them.
Groups make_lone_groups(const planner::Layout& layout, int kv_heads, Device& device);

}  // namespace meshplan::runtime
