#pragma once
#include <vector>

#include "profiles/units.h"

namespace meshplan::planner {

/// Serial parts of one compute-stream instruction, in the order in which they are shown. Hidden
/// communication is not in it; what communication costs on top of compute is.
struct Work {
  profiles::Seconds compute{0};
  profiles::Seconds tp{0}, cp{0}, ep{0}, dp{0};  ///< exposed collectives inside the instruction
  profiles::Seconds overhead{0};                 ///< launches and host time that nothing hides
  profiles::Seconds pp{0};                       ///< transfers that the device waits for

  [[nodiscard]] constexpr profiles::Seconds total() const {
    return compute + tp + cp + ep + dp + overhead + pp;
  }
  friend constexpr Work operator+(const Work& a, const Work& b) {
    return {a.compute + b.compute,   a.tp + b.tp, a.cp + b.cp, a.ep + b.ep, a.dp + b.dp,
            a.overhead + b.overhead, a.pp + b.pp};
  }
  friend constexpr Work operator*(double n, const Work& a) {
    return {n * a.compute, n * a.tp, n * a.cp, n * a.ep, n * a.dp, n * a.overhead, n * a.pp};
  }
  friend constexpr bool operator==(const Work&, const Work&) = default;
};

/// Prices of the instructions on one chunk.
struct ChunkCost {
  Work forward;
  Work input_grad;  ///< Backward costs input_grad + weight_grad
  Work weight_grad;
  Work recompute;  ///< begins the backward; zero without recomputation
  std::vector<profiles::Seconds>
      gradient_reduce;  ///< by bucket, order of readiness; alone on its links
  std::vector<profiles::Seconds> parameter_gather;  ///< by bucket, order of use
};

/// One transfer between neighbouring chunks, by the rank that sends.
struct HopCost {
  profiles::Seconds latency{0};   ///< does not occupy the link
  profiles::Seconds transfer{0};  ///< bytes over bandwidth, alone on its links
  int link = -1;                  ///< index in ScheduleCosts::links; -1: shared with nobody
  int far_link = -1;              ///< a second link on the way (the receiver's side); -1: none
  /// It starts so long before its sender's work ends, which holds that wait (Work::pp); the work
  /// that receives lasts at least as long.
  profiles::Seconds early{0};
};

/// A resource that transfers and collectives share (a rank's NIC, one direction). Shares are
/// max-min fair; a flow alone on the link takes its stated time.
struct SharedLink {
  int stage = 0;
};

struct StageCost {
  profiles::Seconds optimizer{0};
  profiles::Seconds sync{0};  ///< the all-reduce of the gradient norm
  int reduce_link = -1;       ///< link that its data-parallel collectives use; -1: none shared
};

/// Prices of a whole schedule. hops_forward[c] carries chunk c's output to chunk c + 1,
/// hops_backward[c] the gradient from chunk c to chunk c - 1; entries between chunks of one stage
/// are zero.
struct ScheduleCosts {
  std::vector<ChunkCost> chunks;
  std::vector<StageCost> stages;
  std::vector<HopCost> hops_forward, hops_backward;
  std::vector<SharedLink> links;
  bool overlap_gradient_reduce = false;   ///< buckets reduce while later layers still run backward
  bool overlap_parameter_gather = false;  ///< buckets gather while earlier layers run forward
};

}  // namespace meshplan::planner
