#include "planner/cost/collective/collective_model.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "planner/cost/collective/shared_memory.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Cluster;
using profiles::IntraNodeKind;
using profiles::Seconds;

constexpr Collective kModelled[] = {Collective::AllReduce, Collective::AllGather,
                                    Collective::ReduceScatter, Collective::Broadcast};
constexpr std::size_t index(Collective operation) { return static_cast<std::size_t>(operation); }

/// NCCL models a reduction to one rank as a broadcast backwards: one chain through all ranks.
constexpr Collective as_modelled(Collective operation) {
  return operation == Collective::Reduce ? Collective::Broadcast : operation;
}

/// Part of its PCIe links that the group gets on a node without NVLink.
double pcie_share(const GroupShape& shape, const Cluster& cluster,
                  const CollectiveProfile& profile) {
  if (cluster.intra_kind != IntraNodeKind::Pcie) return 1;
  const PcieReach& reach = profile.pcie_reach.at(cluster.peer_to_peer);
  const double across =
      profiles::old_host(cluster) ? reach.across_old_sockets : reach.across_sockets;
  const double share = shape.extent <= 2                              ? reach.neighbours
                       : 2 * shape.extent <= cluster.devices_per_node ? reach.in_socket
                                                                      : across;
  const bool direct = cluster.peer_to_peer == profiles::PeerToPeer::Host ||
                      (cluster.peer_to_peer == profiles::PeerToPeer::Switch && shape.extent <= 2);
  // In host memory all groups meet; direct copies load no links but their own devices'.
  return direct ? share : share / std::max(1, shape.groups_per_node);
}

/// Messages up to here are sent under LL, whose flags need no block to be complete.
/// Source: NCCL src/enqueue.cc (NCCL_P2P_LL_THRESHOLD).
constexpr std::int64_t kMostBytesInLines = 16384;

/// Latency of a message between nodes beyond the verbs network that NCCL's constants stand for.
double extra_hop_latency(const Cluster& cluster) {
  constexpr double kVerbs = 2e-6;
  return std::max(0.0, cluster.nic_latency.count() - kVerbs);
}

}  // namespace

double CollectiveModel::Curve::at(double bytes) const {
  const double z = bytes * seconds_per_byte;
  const double move = std::max(z, (1 - overlap) * z + hops);
  const double lag = fill_rate * z;
  return latency + load * bytes / (bytes + load_bytes) + move +
         (fill > 0 ? fill * lag / (lag + fill) : 0);
}

/// Index of the nearest power of two: floor(log2(bytes) + 1/2), for sqrt(2) is about 46341 / 32768.
int CollectiveModel::octave_of(std::int64_t bytes) {
  if (bytes < 1) return 0;
  const auto size = static_cast<std::uint64_t>(bytes);
  const int floor = static_cast<int>(std::bit_width(size)) - 1;
  const bool upper =
      floor >= 15 ? (size >> (floor - 15)) >= 46341 : (size << (15 - floor)) >= 46341;
  return std::min(floor + (upper ? 1 : 0), kOctaves - 1);
}

CollectiveModel::CollectiveModel(const GroupShape& shape, const Cluster& cluster,
                                 const CollectiveProfile& profile, bool ll128)
    : ranks_(shape.ranks) {
  if (ranks_ < 2) return;
  if (cluster.intra_kind == IntraNodeKind::SharedMemory && shape.nodes == 1) {
    price_shared_memory(cluster.intra_bandwidth);
    spread_ = fabric_overhead_of(profile, shape, cluster).spread;
    provenance_ = Provenance::Interpolated;
    return;
  }
  const NcclModel nccl(shape, cluster, nccl_constants_of(profile, cluster), ll128);
  const FabricOverhead& fabric = fabric_overhead_of(profile, shape, cluster);
  const NetworkOverhead* network =
      shape.nodes > 1 ? &network_overhead_of(profile, cluster) : nullptr;
  const double share = pcie_share(shape, cluster, profile);
  const double extra_hop = network != nullptr ? extra_hop_latency(cluster) : 0;
  for (const Collective operation : kModelled) {
    price(operation, nccl, shape, network, share, extra_hop, fabric, profile);
  }
  price_exchanges(link_rates(shape, cluster, nccl_constants_of(profile, cluster)), shape, cluster,
                  network, share, extra_hop, fabric, profile);
  spread_ = network != nullptr ? std::max(fabric.spread, network->spread) : fabric.spread;
  const bool like_measured = network == nullptr || (network->measured && shape.nodes == 2);
  provenance_ = like_measured ? Provenance::Interpolated : Provenance::Extrapolated;
}

void CollectiveModel::price(Collective operation, const NcclModel& nccl, const GroupShape& shape,
                            const NetworkOverhead* network, double link_share, double extra_hop,
                            const FabricOverhead& fabric, const CollectiveProfile& profile) {
  Chosen& chosen = chosen_[index(operation)];
  const auto candidates = nccl.candidates(operation);
  const double own_piece =
      operation == Collective::AllGather ? fabric.gather_own_piece : fabric.own_piece;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const NcclCandidate& one = candidates[i];
    const bool ll = one.protocol == Protocol::Ll;
    const bool in_switch = one.algorithm == Algorithm::Nvls || one.algorithm == Algorithm::NvlsTree;
    // Between nodes the NICs are what the links of a node would be.
    const double efficiency = network != nullptr ? network->efficiency : fabric.efficiency;
    Curve& curve = chosen.curves[i];
    curve.algorithm = one.algorithm;
    curve.protocol = one.protocol;
    curve.channels = one.channels;
    curve.latency = one.base + one.network + fabric.call + one.network_steps * extra_hop;
    curve.seconds_per_byte = one.physical_seconds_per_byte / link_share;
    if (in_switch) {
      curve.latency += one.hop_count * one.hop + profile.nvls_call;
      // NCCL's own figure of what a switch reaches is measured: nothing to take off it again.
      if (network != nullptr) curve.seconds_per_byte /= efficiency;
      curve.fill = profile.nvls_fill * shape.ranks_per_node / 8;
    } else if (ll) {
      curve.latency += one.hop_count * std::max(fabric.ll_hop_scale * one.hop, one.hop_floor);
      curve.seconds_per_byte *= (1 + profile.ll_own_piece / one.steps) / fabric.ll_speed;
    } else {
      const bool simple = one.protocol == Protocol::Simple;
      // On a node those of LL128 do not show.
      const double near_scale = simple ? fabric.simple_hop_scale : 0;
      const double scale = network != nullptr ? profile.network_hop_scale : near_scale;
      curve.hops = one.hop_count * std::max(scale * one.hop, one.hop_floor);
      const bool sliced = simple && operation != Collective::Broadcast;
      if (sliced && network == nullptr) curve.overlap = profile.overlap;
      curve.latency += fabric.block_call;
      const double speed = simple ? 1 : fabric.ll128_speed;
      curve.seconds_per_byte *= (1 + own_piece / one.steps) / (efficiency * speed);
      curve.fill = fabric.fill;
      curve.fill_rate = profile.fill_rate;
    }
    if (ll) {
      curve.load = profile.ll_load * curve.latency;
      curve.load_bytes = profile.ll_load_bytes;
    }
    if (network != nullptr) {
      curve.latency += network->call;
      if (!ll) {
        curve.fill = network->fill + (in_switch ? curve.fill : 0);
        curve.fill_rate = network->fill_rate;
      }
    }
  }
  double reached = 0;
  for (int octave = 0; octave < kOctaves; ++octave) {
    const std::int64_t size = std::int64_t{1} << octave;
    Piece& piece = chosen.pieces[static_cast<std::size_t>(octave)];
    piece.curve = static_cast<unsigned char>(nccl.choose(operation, Bytes{size}).candidate);
    piece.least = reached;
    const double end = static_cast<double>(size) * std::sqrt(2.0);
    reached = std::max(reached, chosen.curves[piece.curve].at(end));
  }
}

void CollectiveModel::price_shared_memory(profiles::BytesPerSecond all_reduce) {
  shares_memory_ = true;
  const auto curve = [&](Collective operation) {
    const SharedMemoryCall call = shared_memory_call(operation, ranks_, all_reduce);
    return Curve{.latency = call.latency.count(), .seconds_per_byte = call.seconds_per_byte};
  };
  for (const Collective operation : kModelled)
    chosen_[index(operation)].curves[0] = curve(operation);
  exchanges_[0].fill(curve(Collective::AllToAll));
  exchanges_[1].fill(curve(Collective::SendReceive));
  hand_over_.fill({.seconds_per_byte = exchanges_[1][1].seconds_per_byte});
}

void CollectiveModel::price_exchanges(const LinkRates& rates, const GroupShape& shape,
                                      const Cluster& cluster, const NetworkOverhead* network,
                                      double link_share, double extra_hop,
                                      const FabricOverhead& fabric,
                                      const CollectiveProfile& profile) {
  const NcclConstants& constants = nccl_constants_of(profile, cluster);
  const double base = constants.base_latency[static_cast<std::size_t>(Algorithm::Ring)]
                                            [static_cast<std::size_t>(Protocol::Ll)] +
                      fabric.call;
  const double n = shape.ranks;
  const double k = shape.ranks_per_node;
  const double inside = rates.device * link_share * fabric.exchange_efficiency;
  const double exit = network == nullptr ? 0
                                         : std::min(node_exit_bandwidth(shape, cluster).rate,
                                                    rates.nics * rates.nic) *
                                               network->efficiency;
  // Messages to another node go under Simple: NCCL_ALLOC_P2P_NET_LL_BUFFERS is 0 unless set. Even
  // their sender waits for the host's proxy, which hands out the buffers.
  const double network_hop =
      network == nullptr ? 0
                         : constants.hop_latency[static_cast<std::size_t>(Medium::Network)]
                                                [static_cast<std::size_t>(Algorithm::Tree)]
                                                [static_cast<std::size_t>(Protocol::Simple)];
  for (const Collective operation : {Collective::AllToAll, Collective::SendReceive}) {
    const bool all = operation == Collective::AllToAll;
    const double peers = all ? n - 1 : 1;
    const double own_piece = all ? 1 + fabric.exchange_own_piece / peers : 1;
    double latency = base + (all ? fabric.exchange_call + (k - 1) * profile.exchange_near_peer
                                 : fabric.send_call);
    double per_byte = (all ? peers / n : 1.0) * own_piece / inside;
    if (network != nullptr) {
      latency += extra_hop + network_hop;
      if (all) {
        latency += network->call + (n - k) * profile.exchange_peer;
        per_byte = std::max((k - 1) / n * own_piece / inside, (n - k) / n * k / exit);
      } else {
        per_byte = 1 / exit;
      }
    }
    // Small messages carry a flag in every 8 bytes and go to all peers at once.
    const double small_per_byte = 1 / (fabric.exchange_ll_bytes_per_second * (all ? n : 1.0));
    auto& [small, large] = exchanges_[all ? 0 : 1];
    small = {.latency = latency,
             .seconds_per_byte = std::max(2 * per_byte, small_per_byte),
             .protocol = Protocol::Ll,
             .channels = 1};
    large = {.latency = latency + fabric.exchange_block,
             .seconds_per_byte = per_byte,
             .fill = fabric.exchange_fill,
             .fill_rate = profile.fill_rate,
             .channels = 1};
    if (network != nullptr) {
      if (all) {
        large.fill = network->fill;
        large.fill_rate = network->fill_rate;
      }
      small = large;
    }
  }
  const double link = rates.nvlink ? cluster.intra_bandwidth.rate : inside;
  auto& [in_lines, in_blocks] = hand_over_;
  in_lines = {.latency = base + fabric.send_call + network_hop,
              .seconds_per_byte = 1 / (network != nullptr ? exit : link)};
  in_blocks = in_lines;
  if (network == nullptr) {
    in_blocks.hops = profile.send_block;
    in_blocks.overlap = 1;
  }
}

const CollectiveModel::Curve& CollectiveModel::exchange_curve(Collective operation,
                                                              double bytes) const {
  const auto& [small, large] = exchanges_[operation == Collective::AllToAll ? 0 : 1];
  return small.at(bytes) <= large.at(bytes) ? small : large;
}

Seconds CollectiveModel::time(Collective asked, Bytes bytes) const {
  if (ranks_ < 2) return Seconds{0};
  const Collective operation = as_modelled(asked);
  const double size = static_cast<double>(bytes.count);
  if (index(operation) >= chosen_.size()) {
    return Seconds{exchange_curve(operation, size).at(size)};
  }
  const Chosen& chosen = chosen_[index(operation)];
  const Piece& piece = chosen.pieces[static_cast<std::size_t>(octave_of(bytes.count))];
  return Seconds{std::max(piece.least, chosen.curves[piece.curve].at(size))};
}

Seconds CollectiveModel::hand_over_time(Bytes bytes) const {
  const Curve& curve = hand_over_[bytes.count > kMostBytesInLines ? 1 : 0];
  return Seconds{ranks_ < 2 ? 0 : curve.at(static_cast<double>(bytes.count))};
}

Estimate CollectiveModel::estimate(Collective asked, Bytes bytes) const {
  return {time(asked, bytes), ranks_ < 2 ? 0 : spread_, provenance_};
}

CollectiveChoice CollectiveModel::explain(Collective asked, Bytes bytes) const {
  const Collective operation = as_modelled(asked);
  CollectiveChoice out;
  out.time = time(operation, bytes);
  if (ranks_ < 2) return out;
  const bool exchange = index(operation) >= chosen_.size();
  const double size = static_cast<double>(bytes.count);
  const Curve& curve =
      exchange ? exchange_curve(operation, size)
               : chosen_[index(operation)]
                     .curves[chosen_[index(operation)]
                                 .pieces[static_cast<std::size_t>(octave_of(bytes.count))]
                                 .curve];
  out.algorithm = shares_memory_ ? "direct" : exchange ? "pairwise" : name(curve.algorithm);
  if (!shares_memory_) out.protocol = name(curve.protocol);
  out.channels = curve.channels;
  out.latency = std::min(out.time, Seconds{curve.at(0)});
  const Seconds beyond = out.time - out.latency;
  out.bandwidth =
      beyond.count() > 0 ? bytes / beyond : profiles::BytesPerSecond{1 / curve.seconds_per_byte};
  return out;
}

Estimate collective_time(Collective operation, Bytes bytes, const GroupShape& shape,
                         const Cluster& cluster) {
  return CollectiveModel(shape, cluster).estimate(operation, bytes);
}

CollectiveChoice explain_collective(Collective operation, Bytes bytes, const GroupShape& shape,
                                    const Cluster& cluster) {
  return CollectiveModel(shape, cluster).explain(operation, bytes);
}

}  // namespace meshplan::planner
