#include "runtime/measure/host_tables.h"

#include <array>
#include <cmath>
#include <utility>

#include "kernels/cpu/kernels.h"
#include "runtime/communicator/in_process.h"
#include "runtime/measure/meeting_times.h"
#include "runtime/measure/operation_times.h"

namespace meshplan::runtime {
namespace {

using kernels::Operation;
using kernels::vector_view;
using profiles::Bytes;
using profiles::Seconds;

/// Of the elementwise rows and of attention; the other dimensions vary.
constexpr std::int64_t kElementwiseWidth = 640, kAttentionHeads = 4;

}  // namespace

ProfiledShapes profiled_shapes(Effort effort) {
  ProfiledShapes out;
  const bool full = effort == Effort::Full;
  out.gemm_rows =
      full ? std::vector<std::int64_t>{1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 96, 200, 400, 800, 1600}
           : std::vector<std::int64_t>{1, 4, 16, 40, 160, 640};
  out.gemm_widths = full ? std::vector<std::int64_t>{40, 80, 160, 320, 640, 1280, 2560}
                         : std::vector<std::int64_t>{80, 320, 1280};
  out.gemm_held_out = {
      {64, 192, 192}, {192, 768, 192}, {192, 192, 768}, {300, 1000, 500}, {128, 512, 1536}};
  out.attention_lengths =
      full ? std::vector<std::int64_t>{24, 96, 384, 1536} : std::vector<std::int64_t>{48, 192, 768};
  out.decode_lengths =
      full ? std::vector<std::int64_t>{20, 80, 320, 1280} : std::vector<std::int64_t>{40, 640};
  out.decode_groups = {1, 4};
  out.head_dims =
      full ? std::vector<std::int64_t>{16, 48, 96, 160} : std::vector<std::int64_t>{24, 96};
  out.elementwise_rows = {16, 64, 256, 1024};
  out.all_reduce_elements = {5 << 4, 5 << 8, 5 << 12, 5 << 16, 5 << 18, 5 << 21};
  return out;
}

namespace {

using Progress = std::function<void(const std::string&)>;

/// Every time of one core but those of `alone` and of meetings.
std::vector<Seconds*> times(HostTables& tables) {
  std::vector<Seconds*> out{&tables.call, &tables.dropout_pair};
  for (GemmTime& t : tables.gemm) out.push_back(&t.time);
  for (GemmTime& t : tables.gemm_held_out) out.push_back(&t.time);
  for (AttentionTime& t : tables.attention) {
    out.push_back(&t.forward);
    out.push_back(&t.backward);
  }
  for (DecodeTime& t : tables.decode) out.push_back(&t.time);
  for (ElementwiseTime& t : tables.elementwise) out.push_back(&t.time);
  return out;
}

/// All but collectives and the factors of a core alone.
HostTables measure_core(const ProfiledShapes& shapes, MeasuringCore& core,
                        const Progress& progress) {
  HostTables out;
  progress("memory");
  out.stream = stream_bandwidth(core);
  for (const std::int64_t rows : shapes.elementwise_rows) {
    out.elementwise.push_back(elementwise_time(rows, kElementwiseWidth, core));
  }
  std::vector<float> one = ordinary_numbers(16);
  const Operation smallest = kernels::ResidualAdd{
      vector_view(one.data(), 16), vector_view(one.data(), 16), vector_view(one.data(), 16)};
  out.call = core.time([&] { run(smallest, core.queue()); }, 1000);

  ColdMemory memory;
  const auto product = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    progress("product " + std::to_string(m) + " x " + std::to_string(n) + " x " +
             std::to_string(k));
    return GemmTime{m, n, k, gemm_time(m, n, k, memory, core)};
  };
  out.gemm_rows = shapes.gemm_rows;
  out.gemm_widths = shapes.gemm_widths;
  for (const std::int64_t m : out.gemm_rows) {
    for (const std::int64_t n : out.gemm_widths) {
      for (const std::int64_t k : out.gemm_widths) out.gemm.push_back(product(m, n, k));
    }
  }
  for (const auto& [m, n, k] : shapes.gemm_held_out) out.gemm_held_out.push_back(product(m, n, k));

  out.attention_lengths = shapes.attention_lengths;
  out.head_dims = shapes.head_dims;
  for (const std::int64_t length : out.attention_lengths) {
    for (const std::int64_t dim : out.head_dims) {
      progress("attention over " + std::to_string(length) + " tokens");
      out.attention.push_back(attention_time(kAttentionHeads, length, dim, core));
    }
  }
  out.decode_lengths = shapes.decode_lengths;
  out.decode_groups = shapes.decode_groups;
  for (const std::int64_t keys : out.decode_lengths) {
    progress("decoding over " + std::to_string(keys) + " tokens");
    for (const std::int64_t group : out.decode_groups) {
      for (const std::int64_t dim : out.head_dims) {
        out.decode.push_back(decode_time(keys, group, dim, memory, core));
      }
    }
  }
  out.dropout_pair = dropout_pair(core);
  for (Seconds* time : times(out)) *time *= core.mean_over_median();
  return out;
}

/// Some of the same on a core alone, over what `busy` says.
profiles::TimeFactors alone(const HostTables& busy) {
  MeasuringCore core(nullptr);
  ColdMemory memory;
  const auto mean = [](const std::vector<double>& ratios) {
    double sum = 0;
    for (const double ratio : ratios) sum += std::log(ratio);
    return std::exp(sum / static_cast<double>(ratios.size()));
  };
  std::vector<double> gemm, attention, memory_bound;
  // Large ones, which a step consists of: their last quarter holds most of the time.
  for (std::size_t i = busy.gemm.size() / 4 * 3; i < busy.gemm.size();
       i += busy.gemm.size() / 24 + 1) {
    const GemmTime& t = busy.gemm[i];
    gemm.push_back(gemm_time(t.m, t.n, t.k, memory, core) / t.time);
  }
  for (std::size_t i = busy.attention.size() / 2; i < busy.attention.size(); i += 3) {
    const AttentionTime& t = busy.attention[i];
    const AttentionTime own = attention_time(t.heads, t.sequence, t.head_dim, core);
    attention.push_back((own.forward + own.backward) / (t.forward + t.backward));
  }
  for (std::size_t i = busy.elementwise.size() / 2; i < busy.elementwise.size(); ++i) {
    const ElementwiseTime& t = busy.elementwise[i];
    const std::int64_t rows = t.tensor.count / (4 * kElementwiseWidth);
    memory_bound.push_back(elementwise_time(rows, kElementwiseWidth, core).time / t.time);
  }
  const double longer = core.mean_over_median();
  return {longer * mean(gemm), longer * mean(attention), longer * mean(memory_bound)};
}

/// The mean over cores, number by number.
HostTables mean_of(std::vector<HostTables> cores) {
  HostTables out = cores.front();
  const double share = 1.0 / static_cast<double>(cores.size());
  const std::vector<Seconds*> means = times(out);
  for (Seconds* mean : means) *mean = Seconds{0};
  out.stream.rate = 0;
  for (HostTables& core : cores) {
    const std::vector<Seconds*> own = times(core);
    for (std::size_t i = 0; i < own.size(); ++i) *means[i] += share * *own[i];
    out.stream.rate += share * core.stream.rate;
  }
  out.cores = static_cast<int>(cores.size());
  return out;
}

}  // namespace

HostTables measure_host(Effort effort, int cores, const Progress& progress) {
  const ProfiledShapes shapes = profiled_shapes(effort);
  std::vector<HostTables> by_core(static_cast<std::size_t>(cores));
  run_in_process(cores, {}, [&](Communicator& all) {
    MeasuringCore core(cores > 1 ? &all : nullptr);
    const int rank = all.rank();
    int step = 0;
    by_core[static_cast<std::size_t>(rank)] =
        measure_core(shapes, core, [&](const std::string& what) {
          all.note({step++, 0});  // a rank that is silent for too long has failed
          if (rank == 0) progress(what);
        });
  });
  HostTables out = mean_of(std::move(by_core));
  if (cores == 1) return out;
  progress("one core alone");
  out.alone = alone(out);
  progress("two cores that meet");
  out.waiting = waiting(effort);
  for (const std::int64_t elements : shapes.all_reduce_elements) {
    progress("all-reduce of " + std::to_string(elements) + " numbers");
    out.all_reduce.push_back(all_reduce_time(elements));
  }
  return out;
}

}  // namespace meshplan::runtime
