#pragma once
#include <array>
#include <string_view>

#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective.h"
#include "planner/cost/collective/collective_profile.h"
#include "planner/cost/collective/nccl_model.h"
#include "planner/cost/estimate.h"
#include "profiles/cluster.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// What the time of a call is made of.
struct CollectiveChoice {
  /// "ring", "tree", "nvls", "nvls_tree"; "pairwise" of exchanges; "direct" of ranks that are
  /// threads
  std::string_view algorithm;
  std::string_view protocol;  ///< "LL", "LL128", "Simple"; empty without NCCL
  int channels = 0;
  profiles::Seconds latency{0};          ///< whatever the bytes
  profiles::BytesPerSecond bandwidth{};  ///< bytes of the call over the time beyond the latency
  profiles::Seconds time{0};
};

/// Times of collectives on groups of one shape: NCCL's own choice of algorithm and protocol
/// (nccl_model.h) at the bandwidth that the links give, plus what NCCL's estimate leaves out
/// (collective_profile.h). NCCL chooses here for the nearest power of two of the bytes, so that a
/// time is a few operations on stored figures; more bytes never take less time. Ranks that are
/// threads of one machine know no NCCL: shared_memory.h.
///
/// Bytes are counted as nccl-tests does: all-reduce, broadcast, reduce, send/receive the buffer;
/// all-gather and reduce-scatter the full (gathered) buffer; all-to-all what one rank sends in all.
class CollectiveModel {
 public:
  /// `ll128` as of NcclModel.
  CollectiveModel(const GroupShape& shape, const profiles::Cluster& cluster,
                  const CollectiveProfile& profile = shipped_collective_profile(),
                  bool ll128 = true);

  /// Zero for a group of one rank. No bytes cost the latency.
  [[nodiscard]] profiles::Seconds time(Collective asked, profiles::Bytes bytes) const;
  /// Until a sender has handed over a message of `bytes`, however much later the receiver has it:
  /// the bytes at the rate of its link, or what the fences of blocks take if that is longer; to
  /// another node the bytes at the rate of its NICs after the wait for the host's proxy.
  [[nodiscard]] profiles::Seconds hand_over_time(profiles::Bytes bytes) const;
  [[nodiscard]] Estimate estimate(Collective asked, profiles::Bytes bytes) const;
  [[nodiscard]] CollectiveChoice explain(Collective asked, profiles::Bytes bytes) const;

 private:
  /// t = latency + load b / (b + load_bytes) + max(z, (1 - overlap) z + hops)
  ///     + fill r z / (r z + fill),   b = bytes, z = b * seconds_per_byte, r = fill_rate
  struct Curve {
    double latency = 0, seconds_per_byte = 0, fill = 0, fill_rate = 1, load = 0, load_bytes = 1;
    double hops = 0, overlap = 0;
    Algorithm algorithm = Algorithm::Ring;
    Protocol protocol = Protocol::Simple;
    int channels = 0;
    [[nodiscard]] double at(double bytes) const;
  };
  /// The curve that NCCL's choice follows between two half-powers of two.
  struct Piece {
    double least = 0;  ///< what the pieces before it reached
    unsigned char curve = 0;
  };
  static constexpr int kOctaves = 48;
  struct Chosen {
    std::array<Curve, 7> curves;
    std::array<Piece, kOctaves> pieces;
  };

  [[nodiscard]] static int octave_of(std::int64_t bytes);
  void price(Collective operation, const NcclModel& nccl, const GroupShape& shape,
             const NetworkOverhead* network, double link_share, double extra_hop,
             const FabricOverhead& fabric, const CollectiveProfile& profile);
  void price_exchanges(const LinkRates& rates, const GroupShape& shape,
                       const profiles::Cluster& cluster, const NetworkOverhead* network,
                       double link_share, double extra_hop, const FabricOverhead& fabric,
                       const CollectiveProfile& profile);
  [[nodiscard]] const Curve& exchange_curve(Collective operation, double bytes) const;

  void price_shared_memory(profiles::BytesPerSecond all_reduce);

  int ranks_ = 1;
  bool shares_memory_ = false;
  double spread_ = 0;
  Provenance provenance_ = Provenance::Extrapolated;
  std::array<Chosen, 4> chosen_;                   ///< by operation that NCCL models
  std::array<std::array<Curve, 2>, 2> exchanges_;  ///< all-to-all, send/receive: small, large
  std::array<Curve, 2> hand_over_;                 ///< small, large
};

/// The same for one call.
Estimate collective_time(Collective operation, profiles::Bytes bytes, const GroupShape& shape,
                         const profiles::Cluster& cluster);
CollectiveChoice explain_collective(Collective operation, profiles::Bytes bytes,
                                    const GroupShape& shape, const profiles::Cluster& cluster);

}  // namespace meshplan::planner
