#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string_view>

#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective.h"
#include "planner/cost/collective/nccl_channels.h"
#include "planner/cost/collective/nccl_constants.h"
#include "profiles/cluster.h"
#include "profiles/units.h"

namespace meshplan::planner {

std::string_view name(Algorithm algorithm);  ///< "tree", "ring", "nvls", "nvls_tree"
std::string_view name(Protocol protocol);    ///< "LL", "LL128", "Simple"

/// One algorithm with one protocol for one operation on one group.
///
///   t = base + hop_count * max(hop, hop_floor) + network + bytes * seconds_per_byte
struct NcclCandidate {
  Algorithm algorithm = Algorithm::Ring;
  Protocol protocol = Protocol::Simple;
  int channels = 1;
  double base = 0;       ///< seconds, of a call
  double hop_count = 0;  ///< steps inside nodes
  double hop = 0;        ///< seconds of one, by its links
  double hop_floor = 0;  ///< seconds of one at least: the host's work while the network is used
  double network = 0;    ///< seconds, of the steps between nodes
  int network_steps = 0;
  double steps = 1;                      ///< in which the operation moves its pieces
  double seconds_per_byte = 0;           ///< at the bandwidth that NCCL believes
  double physical_seconds_per_byte = 0;  ///< at the bandwidth of the links, contention included

  [[nodiscard]] double latency() const {
    return base + hop_count * std::max(hop, hop_floor) + network;
  }
};

/// NCCL's tuning model: which algorithm and protocol it runs for a call on a group, and the time it
/// expects. All-gather, reduce-scatter: bytes of the gathered buffer. It has no model of all-to-all
/// and send/receive.
/// Source: NCCL src/graph/tuning.cc, restated; its constants are data (nccl_constants.h).
class NcclModel {
 public:
  /// `ll128` false: the program that called NCCL kept it off LL128, as NCCL_PROTO=^LL128 does.
  NcclModel(const GroupShape& shape, const profiles::Cluster& cluster,
            const NcclConstants& constants, bool ll128 = true);

  /// Candidates of an operation; empty for one rank and where NCCL has no model.
  [[nodiscard]] std::span<const NcclCandidate> candidates(Collective operation) const;

  struct Choice {
    int candidate = 0;  ///< index in candidates(operation)
    profiles::Seconds latency{0};
    profiles::BytesPerSecond bandwidth{};  ///< bytes of the call over the time beyond the latency
    profiles::Seconds time{0};
  };
  /// Requires an operation with candidates.
  [[nodiscard]] Choice choose(Collective operation, profiles::Bytes bytes) const;

 private:
  struct List {
    std::array<NcclCandidate, 7> candidates;
    int count = 0;
    void add(const NcclCandidate& one) { candidates[static_cast<std::size_t>(count++)] = one; }
  };
  /// The call's latency and seconds per byte with the corrections that NCCL applies at call time.
  struct Corrected {
    double latency, seconds_per_byte;
  };
  [[nodiscard]] Corrected corrected(const NcclCandidate& candidate, Collective operation,
                                    std::int64_t bytes) const;

  void add_rings(Collective operation, const NcclConstants& constants);
  void add_trees(const NcclConstants& constants);
  void add_nvls(Collective operation, const NcclConstants& constants);

  GroupShape shape_;
  LinkRates rates_;
  double exit_ = 0;
  double host_overhead_ = 0;
  int generation_ = 0;
  bool x86_ = true;
  int cpu_row_ = 0;
  NcclConstants::ByProtocol<std::array<double, 24>> tree_correction_{};
  bool correct_nvls_tree_ = false;
  std::array<List, 4> lists_;  ///< by operation
};

}  // namespace meshplan::planner
