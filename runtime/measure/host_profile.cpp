#include "runtime/measure/host_profile.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/kernels.h"
#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective_model.h"
#include "planner/cost/compute/attention.h"
#include "planner/cost/compute/gemm.h"
#include "profiles/data_files.h"

namespace meshplan::runtime {
namespace {

using planner::AttentionPass;
using profiles::Bytes;
using profiles::DataType;
using profiles::DeviceProfile;
using profiles::LogGrid;
using profiles::Seconds;

/// Where a formula has a cost that a core does not have; files want positive times.
constexpr Seconds kNothing{1e-12};
/// Where a formula caps a rate that a core does not cap.
constexpr double kNoLimit = 100, kNoReread = 1e9;

std::vector<double> axis(const std::vector<std::int64_t>& nodes) {
  return {nodes.begin(), nodes.end()};
}

double flops(const GemmTime& gemm) {
  return 2.0 * static_cast<double>(gemm.m) * static_cast<double>(gemm.n) *
         static_cast<double>(gemm.k);
}

planner::AttentionShape shape_of(const AttentionTime& time) {
  const int heads = static_cast<int>(time.heads), dim = static_cast<int>(time.head_dim);
  return {1, time.sequence, time.sequence, heads, heads, dim, dim, true};
}

planner::AttentionShape shape_of(const DecodeTime& time) {
  const int dim = static_cast<int>(time.head_dim), kv_heads = static_cast<int>(time.kv_heads);
  const int heads = kv_heads * static_cast<int>(time.group);
  return {1, 1, time.keys, heads, kv_heads, dim, dim, true};
}

/// The facts, as far as they were reached.
profiles::Device device_of(const Host& host, const HostTables& measured) {
  profiles::Device device;
  device.id = "host-cpu";
  device.architecture = "cpu";
  double peak = 0;
  for (const GemmTime& gemm : measured.gemm) peak = std::max(peak, flops(gemm) / gemm.time.count());
  // What a core alone reaches is the ceiling, of which busy neighbours leave it a share.
  peak /= std::min(1.0, measured.alone.gemm);
  device.peak[static_cast<std::size_t>(DataType::Fp32)] = profiles::FlopsPerSecond{peak};
  device.memory = profiles::shard(host.memory, host.cores);
  device.l2_cache = host.core_cache;
  device.memory_bandwidth = {measured.stream.rate / std::min(1.0, measured.alone.memory_bound)};
  for (const ElementwiseTime& row : measured.elementwise) {
    const auto reached = row.charged / row.time;
    if (row.tensor > device.l2_cache && reached.rate > device.memory_bandwidth.rate) {
      device.memory_bandwidth = reached;
    }
  }
  // Few rows stream their weights; a floor of the prices must not lie above what was measured.
  for (const GemmTime& gemm : measured.gemm) {
    const Bytes weights{4 * gemm.n * gemm.k - device.l2_cache.count};
    const auto reached = weights / gemm.time;
    if (reached.rate > device.memory_bandwidth.rate) device.memory_bandwidth = reached;
  }
  device.multiprocessors = 1;
  device.pcie_bandwidth = device.memory_bandwidth;
  device.source = "measured: one core of " + host.processor + "; memory: its share of the machine";
  return device;
}

profiles::MemoryBoundConstants memory_bound(const profiles::Device& device,
                                            const HostTables& measured) {
  profiles::MemoryBoundConstants out;
  out.launch = std::max(measured.call, kNothing);
  const auto of_bandwidth = [&](const ElementwiseTime& row) {
    return (row.charged / row.time).rate / device.memory_bandwidth.rate;
  };
  out.l2_bandwidth = of_bandwidth(measured.elementwise.front());
  out.efficiency = std::min(2.0, of_bandwidth(measured.elementwise.back()));
  return out;
}

/// ln(measured / model) at each node.
LogGrid gemm_residual(const HostTables& measured, const DeviceProfile& profile) {
  std::vector<double> values;
  for (const GemmTime& t : measured.gemm) {
    const double model = planner::gemm_model_seconds({t.m, t.n, t.k}, DataType::Fp32, profile);
    values.push_back(std::log(t.time.count() / model));
  }
  const std::vector<double> widths = axis(measured.gemm_widths);
  return {{axis(measured.gemm_rows), widths, widths}, std::move(values)};
}

profiles::ErrorSummary errors_of(std::vector<double> ratios) {
  profiles::ErrorSummary out;
  out.rows = static_cast<int>(ratios.size());
  if (ratios.empty()) return out;
  const auto at = [](std::vector<double>& sorted, double share) {
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
  };
  std::sort(ratios.begin(), ratios.end());
  out.bias = at(ratios, 0.5) - 1;
  for (double& ratio : ratios) ratio = std::abs(ratio - 1);
  std::sort(ratios.begin(), ratios.end());
  out.median = at(ratios, 0.5);
  out.p90 = at(ratios, 0.9);
  out.p95 = at(ratios, 0.95);
  return out;
}

profiles::FitRecord gemm_record(const HostTables& measured, const DeviceProfile& profile) {
  const auto ratios = [&](const std::vector<GemmTime>& rows) {
    std::vector<double> out;
    for (const GemmTime& t : rows) {
      const auto predicted = planner::gemm_time({t.m, t.n, t.k}, DataType::Fp32, profile).time;
      out.push_back(predicted / t.time);
    }
    return out;
  };
  profiles::FitRecord out;
  out.fitted = errors_of(ratios(measured.gemm));
  out.held_out = errors_of(ratios(measured.gemm_held_out));
  double squares = 0;
  for (const double ratio : ratios(measured.gemm_held_out)) squares += std::pow(std::log(ratio), 2);
  const double rows = std::max<double>(1, static_cast<double>(measured.gemm_held_out.size()));
  constexpr double kLeastSpread = 0.03;
  out.spread = std::max(kLeastSpread, std::sqrt(squares / rows));
  return out;
}

profiles::GemmConstants gemm_constants(const HostTables& measured, DeviceProfile profile) {
  profiles::GemmConstants& c = profile.gemm;
  c = {};
  c.launch = c.vector_launch = std::max(measured.call, kNothing);
  c.tile_overhead = c.area_overhead = c.split_overhead = kNothing;
  c.quantisation = 0;
  c.memory_efficiency = c.store_efficiency = 1;
  c.l2_bandwidth = profile.memory_bound.l2_bandwidth;
  c.raster_width = kNoReread;
  c.block_bandwidth = kNoLimit;
  c.tiles = {{8, 8, 1.0}};
  c.residual = gemm_residual(measured, profile);
  c.record = gemm_record(measured, profile);
  return c;
}

/// Share of the peak that the score tiles reach, as attention.h counts them.
double reached(const AttentionTime& t, AttentionPass pass, const DeviceProfile& profile) {
  const Seconds time = pass == AttentionPass::Forward ? t.forward : t.backward;
  return planner::attention_floor(shape_of(t), pass, DataType::Fp32, profile) / time;
}

profiles::AttentionConstants attention_constants(const HostTables& measured,
                                                 DeviceProfile profile) {
  profiles::AttentionConstants& c = profile.attention;
  c = {};
  c.launch = std::max(measured.call, kNothing);
  c.block_overhead = c.token = kNothing;
  c.query_tile = 32;
  c.quantisation = 0;
  c.block_rate = kNoLimit;
  c.memory_efficiency = 1;
  double ratio = 0;
  for (const AttentionTime& t : measured.attention) {
    ratio += std::log(reached(t, AttentionPass::Backward, profile) /
                      reached(t, AttentionPass::Forward, profile));
  }
  const auto rows = static_cast<double>(measured.attention.size());
  c.backward_efficiency = std::clamp(std::exp(ratio / rows), 0.01, 2.0);
  const std::size_t dims = measured.head_dims.size();
  for (std::size_t d = 0; d < dims; ++d) {
    const AttentionTime& longest = measured.attention[measured.attention.size() - dims + d];
    const double share = reached(longest, AttentionPass::Forward, profile);
    c.head_dims.push_back({static_cast<int>(longest.head_dim), std::clamp(share, 0.001, 1.0)});
  }
  // Both passes share the grid: the mean of what they are off by.
  std::vector<double> values;
  for (const AttentionTime& t : measured.attention) {
    const auto off = [&](AttentionPass pass, Seconds time) {
      return std::log(time.count() /
                      planner::flash_model_seconds(shape_of(t), pass, DataType::Fp32, profile));
    };
    values.push_back(
        (off(AttentionPass::Forward, t.forward) + off(AttentionPass::Backward, t.backward)) / 2);
  }
  const auto heads = static_cast<double>(measured.attention.front().heads);
  c.residual = LogGrid({{heads}, axis(measured.attention_lengths), {1}, axis(measured.head_dims)},
                       std::move(values));
  c.dropout_pair = measured.dropout_pair;
  c.record.spread = 0.15;
  return c;
}

/// One core streams what one query needs and computes beside it: a roofline, and what was measured
/// beyond it.
profiles::DecodeConstants decode_constants(const HostTables& measured, DeviceProfile profile) {
  profiles::DecodeConstants& c = profile.decode;
  c = {};
  c.launch = std::max(measured.call, kNothing);
  c.block_overhead = c.split_overhead = kNothing;
  c.memory_efficiency = 1;
  // Measured cold, and no step finds it otherwise.
  c.l2_share = 0.001;
  c.block_bandwidth = kNoLimit;
  std::vector<double> values;
  for (const DecodeTime& t : measured.decode) {
    values.push_back(std::log(t.time.count() /
                              planner::decode_model_seconds(shape_of(t), DataType::Fp32, profile)));
  }
  const auto kv_heads = static_cast<double>(measured.decode.front().kv_heads);
  c.residual = LogGrid({{1},
                        {kv_heads},
                        axis(measured.decode_lengths),
                        axis(measured.decode_groups),
                        axis(measured.head_dims)},
                       std::move(values));
  c.record.spread = 0.15;
  return c;
}

}  // namespace

DeviceProfile host_profile(const Host& host, const HostTables& measured, const std::string& date) {
  const profiles::Device device = device_of(host, measured);
  DeviceProfile out = profiles::load_profile(device, profiles::DataFiles());
  out.device = device;
  out.name = device.id;
  out.fitted = true;
  out.date = date;
  out.provenance = "measured on " + host.name + ", a core of " + host.processor +
                   (measured.cores > 1 ? " beside " + std::to_string(measured.cores - 1) + " busy"
                                       : std::string()) +
                   ", with " + std::string(kernels::cpu::gemm_library()) + " and " +
                   std::string(name(kernels::cpu::best_instruction_set())) + " kernels";
  out.sustained_clock_factor = 1;
  out.sustained_clock_cause = "measured at the clocks that the machine kept";
  out.memory_bound = memory_bound(device, measured);
  out.alone = measured.alone;
  out.waiting = measured.waiting;
  out.gemm = gemm_constants(measured, out);
  out.attention = attention_constants(measured, out);
  out.decode = decode_constants(measured, out);
  return out;
}

int measuring_cores(const Host& host) {
  const std::int64_t fit = host.available.count / kMeasuringMemory.count;
  return static_cast<int>(std::clamp<std::int64_t>(fit, 1, host.cores));
}

profiles::BytesPerSecond rank_bandwidth(const profiles::Cluster& without,
                                        const std::vector<AllReduceTime>& measured) {
  planner::Layout two;
  two.tp = 2;
  const auto off = [&](double log_rate) {
    profiles::Cluster cluster = without;
    cluster.intra_bandwidth = cluster.pcie_bandwidth = cluster.device.pcie_bandwidth =
        profiles::BytesPerSecond{std::exp(log_rate)};
    const planner::CollectiveModel model(group_shape(two, planner::Axis::Tp, cluster), cluster);
    double sum = 0;
    for (const AllReduceTime& row : measured) {
      sum += std::pow(std::log(model.time(planner::Collective::AllReduce, row.size) / row.time), 2);
    }
    return sum;
  };
  // One valley: golden section.
  constexpr double kGolden = 0.6180339887498949;
  double low = std::log(1e7), high = std::log(1e12);
  while (high - low > 1e-3) {
    const double step = kGolden * (high - low);
    if (off(high - step) < off(low + step)) {
      high = low + step;
    } else {
      low = high - step;
    }
  }
  return {std::exp((low + high) / 2)};
}

}  // namespace meshplan::runtime
