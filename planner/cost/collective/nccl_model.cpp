#include "planner/cost/collective/nccl_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace meshplan::planner {
namespace {

constexpr std::size_t index(Algorithm one) { return static_cast<std::size_t>(one); }
constexpr std::size_t index(Protocol one) { return static_cast<std::size_t>(one); }
constexpr std::size_t index(Medium one) { return static_cast<std::size_t>(one); }
constexpr Protocol kEveryProtocol[] = {Protocol::Ll, Protocol::Ll128, Protocol::Simple};

int generation_of(int capability) {
  if (capability < 80) return 0;
  if (capability < 90) return 1;
  return capability < 100 ? 2 : 3;
}

/// Column of the tables: one node, two, more.
int by_nodes(int nodes) { return std::min(nodes, 3) - 1; }

double steps_of(Collective operation, int ranks) {
  if (operation == Collective::AllReduce) return 2.0 * (ranks - 1);
  if (operation == Collective::Broadcast) return ranks;
  return ranks - 1.0;
}

int floor_log2(int value) { return std::bit_width(static_cast<unsigned>(std::max(1, value))) - 1; }

}  // namespace

std::string_view name(Algorithm algorithm) {
  constexpr std::array<std::string_view, kAlgorithms> kNames = {"tree", "ring", "nvls",
                                                                "nvls_tree"};
  return kNames[index(algorithm)];
}

std::string_view name(Protocol protocol) {
  constexpr std::array<std::string_view, kProtocols> kNames = {"LL", "LL128", "Simple"};
  return kNames[index(protocol)];
}

NcclModel::NcclModel(const GroupShape& shape, const profiles::Cluster& cluster,
                     const NcclConstants& constants, bool ll128)
    : shape_(shape),
      rates_(link_rates(shape, cluster, constants)),
      exit_(std::min(node_exit_bandwidth(shape, cluster).rate, rates_.nics * rates_.nic)),
      generation_(generation_of(cluster.device.compute_capability)),
      x86_(cluster.host_cpu != "arm"),
      cpu_row_(cluster.host_cpu == "amd" ? 1 : 0),
      tree_correction_(constants.tree_correction),
      correct_nvls_tree_(constants.correct_nvls_tree) {
  rates_.ll128 = rates_.ll128 && ll128;
  if (shape.nodes > 1) {
    const auto found = constants.host_overhead.find(cluster.host_cpu);
    host_overhead_ = found == constants.host_overhead.end() ? 1e-6 : found->second;
  }
  if (shape.ranks < 2) return;
  add_trees(constants);
  for (const Collective operation : {Collective::AllReduce, Collective::AllGather,
                                     Collective::ReduceScatter, Collective::Broadcast}) {
    add_rings(operation, constants);
    if (operation != Collective::Broadcast) add_nvls(operation, constants);
  }
}

void NcclModel::add_rings(Collective operation, const NcclConstants& constants) {
  const Channels believed = ring_channels(rates_, constants);
  const Channels physical = physical_ring(believed, rates_, exit_);
  const int nodes = shape_.nodes;
  const auto column = static_cast<std::size_t>(by_nodes(nodes));
  const auto row = static_cast<std::size_t>(nodes == 1 ? generation_ : cpu_row_);
  const auto generation = static_cast<std::size_t>(generation_);
  const auto& hop = constants.hop_latency[index(rates_.nvlink ? Medium::NvLink : Medium::Pcie)];
  const auto& net = constants.hop_latency[index(Medium::Network)];
  const Algorithm net_algorithm = shape_.ranks_per_node == 1 ? Algorithm::Tree : Algorithm::Ring;

  NcclCandidate out;
  out.algorithm = Algorithm::Ring;
  out.channels = believed.count;
  out.steps = steps_of(operation, shape_.ranks);
  if (nodes > 1) {
    out.network_steps = operation == Collective::AllReduce ? 2 * (nodes - 1) : nodes - 1;
  }
  for (const Protocol protocol : kEveryProtocol) {
    const std::size_t p = index(protocol);
    if (protocol == Protocol::Ll128 && !rates_.ll128) continue;
    out.protocol = protocol;
    const auto bus = [&](const Channels& channels) {
      double rate = channels.count * (nodes <= 2 ? channels.intra : channels.inter);
      if (protocol == Protocol::Ll) rate = std::min(constants.ll[row][column], rate * 0.5);
      if (protocol == Protocol::Ll128) {
        rate = std::min(rate * 0.92, channels.count * constants.ring_ll128[generation][column]);
      }
      return rate;
    };
    out.base = constants.base_latency[index(Algorithm::Ring)][p];
    out.hop_count = out.steps - out.network_steps;
    if (operation == Collective::Broadcast) {
      const Algorithm way = protocol == Protocol::Simple ? Algorithm::Tree : Algorithm::Ring;
      out.hop = hop[index(way)][p];
      out.network = out.network_steps * net[index(way)][p];
    } else {
      out.hop = hop[index(Algorithm::Ring)][p];
      out.hop_floor = host_overhead_ * (protocol == Protocol::Simple ? 3 : 1);
      out.network = out.network_steps * net[index(net_algorithm)][p];
    }
    out.seconds_per_byte = out.steps / (shape_.ranks * bus(believed));
    out.physical_seconds_per_byte = out.steps / (shape_.ranks * bus(physical));
    lists_[static_cast<std::size_t>(operation)].add(out);
  }
}

void NcclModel::add_trees(const NcclConstants& constants) {
  const Channels believed = tree_channels(ring_channels(rates_, constants), rates_, constants);
  const Channels physical = physical_tree(believed, rates_, exit_);
  const int nodes = shape_.nodes;
  const auto column = static_cast<std::size_t>(by_nodes(nodes));
  const auto row = static_cast<std::size_t>(nodes == 1 ? generation_ : cpu_row_);
  const auto generation = static_cast<std::size_t>(generation_);
  const std::size_t tree = index(Algorithm::Tree);
  const auto& hop = constants.hop_latency[index(rates_.nvlink ? Medium::NvLink : Medium::Pcie)];

  NcclCandidate out;
  out.algorithm = Algorithm::Tree;
  out.channels = believed.count;
  out.steps = steps_of(Collective::AllReduce, shape_.ranks);
  out.network_steps = 2 * floor_log2(nodes);
  for (const Protocol protocol : kEveryProtocol) {
    const std::size_t p = index(protocol);
    if (protocol == Protocol::Ll128 && !rates_.ll128) continue;
    out.protocol = protocol;
    const auto bus = [&](const Channels& channels) {
      double rate = channels.count * (nodes <= 2 ? channels.intra : channels.inter);
      rate = std::min(rate * 0.92, channels.count * constants.tree[generation][column]);
      if (protocol == Protocol::Ll) rate = std::min(rate / 3.8, constants.ll[row][column]);
      if (protocol == Protocol::Ll128) {
        rate = std::min(rate * (nodes == 1 ? 7.0 / 9 : 120.0 / 128),
                        channels.count * constants.tree_ll128[generation][column]);
      }
      // Hosts from Hopper on run the simple tree between nodes.
      return nodes > 1 && generation_ >= 2 ? rate * 0.85 : rate;
    };
    out.base = constants.base_latency[tree][p];
    const double per_node = static_cast<double>(shape_.ranks) / nodes;
    out.hop_count = 2 * (per_node - 1);
    out.hop = hop[tree][p];
    out.network = out.network_steps * constants.hop_latency[index(Medium::Network)][tree][p];
    out.seconds_per_byte = 2 / bus(believed);
    out.physical_seconds_per_byte = 2 / bus(physical);
    lists_[static_cast<std::size_t>(Collective::AllReduce)].add(out);
  }
}

void NcclModel::add_nvls(Collective operation, const NcclConstants& constants) {
  const int nodes = shape_.nodes;
  if (nodes > 1 && operation != Collective::AllReduce) return;
  const auto believed = nvls_channels(rates_, constants);
  if (!believed) return;
  const Channels physical = physical_nvls(*believed, rates_, exit_);
  const auto generation = static_cast<std::size_t>(generation_);
  const auto column = static_cast<std::size_t>(by_nodes(nodes));
  const std::size_t p = index(Protocol::Simple);

  NcclCandidate out;
  out.algorithm = nodes == 1 ? Algorithm::Nvls : Algorithm::NvlsTree;
  out.protocol = Protocol::Simple;
  out.channels = believed->count;
  out.steps = steps_of(operation, shape_.ranks);
  const double per_node = shape_.ranks_per_node;
  const double share = operation == Collective::AllReduce ? 2 : (per_node - 1) / per_node;
  const auto bus = [&](const Channels& channels) {
    const double heads = channels.count;
    const double intra =
        channels.intra * constants.nvls_efficiency[generation] * (heads - 1) / heads * share;
    double rate = std::min(intra, channels.inter * (nodes == 2 ? 2 : 1));
    rate *= heads;
    if (nodes > 1) {
      rate = std::min(rate, believed->count * constants.nvls_tree[generation][column]);
    }
    return rate;
  };
  const std::size_t a = index(out.algorithm);
  out.hop_count = 1;
  out.hop = constants.hop_latency[index(Medium::NvLink)][a][p];
  if (nodes > 1) {
    out.network_steps = 2 * floor_log2(nodes);
    out.network = out.network_steps * constants.hop_latency[index(Medium::Network)][a][p];
  }
  out.seconds_per_byte = out.steps / (shape_.ranks * bus(*believed));
  out.physical_seconds_per_byte = out.steps / (shape_.ranks * bus(physical));
  lists_[static_cast<std::size_t>(operation)].add(out);
}

std::span<const NcclCandidate> NcclModel::candidates(Collective operation) const {
  if (static_cast<std::size_t>(operation) >= lists_.size()) return {};
  const List& list = lists_[static_cast<std::size_t>(operation)];
  return {list.candidates.data(), static_cast<std::size_t>(list.count)};
}

NcclModel::Corrected NcclModel::corrected(const NcclCandidate& candidate, Collective operation,
                                          std::int64_t bytes) const {
  Corrected out{candidate.latency(), candidate.seconds_per_byte};
  if (operation != Collective::AllReduce || bytes < 64) return out;
  const int octave = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bytes) / 64)) - 1;
  const auto& factors = tree_correction_[index(candidate.protocol)];
  if (candidate.algorithm == Algorithm::Tree && octave < 23) {
    out.seconds_per_byte /= factors[static_cast<std::size_t>(octave)];
  }
  if (candidate.algorithm == Algorithm::NvlsTree && octave < 24 && correct_nvls_tree_ &&
      generation_ >= 3 && x86_) {
    out.seconds_per_byte /= factors[static_cast<std::size_t>(octave)];
  }
  // The plateau of rings over several nodes; the kernel runs two channels for each one found.
  if (candidate.algorithm == Algorithm::Ring && candidate.protocol == Protocol::Simple &&
      shape_.nodes > 1 && bytes / (std::int64_t{2} * candidate.channels * shape_.ranks) >= 64) {
    out.latency *= generation_ == 0 ? 1.9 : 1.4;
  }
  return out;
}

NcclModel::Choice NcclModel::choose(Collective operation, profiles::Bytes bytes) const {
  Choice best;
  double least = std::numeric_limits<double>::infinity();
  const auto list = candidates(operation);
  const auto rank = [](const NcclCandidate& one) {
    return index(one.algorithm) * kProtocols + index(one.protocol);
  };
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Corrected call = corrected(list[i], operation, bytes.count);
    const double time = call.latency + static_cast<double>(bytes.count) * call.seconds_per_byte;
    const bool first_of_equals =
        time == least && rank(list[i]) < rank(list[static_cast<std::size_t>(best.candidate)]);
    if (time < least || first_of_equals) {
      least = time;
      best = {static_cast<int>(i), profiles::Seconds{call.latency},
              profiles::BytesPerSecond{1 / call.seconds_per_byte}, profiles::Seconds{time}};
    }
  }
  return best;
}

}  // namespace meshplan::planner
