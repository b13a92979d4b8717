#include "runtime/measure/gpu_tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <set>

#include "runtime/communicator/in_process.h"
#include "runtime/device/tensor.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {
namespace {

using kernels::ElementType;
using kernels::TensorView;
using profiles::Bytes;
using profiles::Seconds;

/// Median time of one `issue` on the compute queue: rounds of several in a row, so that a round is
/// long beside the resolution of events.
template <typename Issue>
Seconds median_time(Device& device, Issue issue) {
  constexpr int kRounds = 7, kMostInARow = 64;
  constexpr Seconds kRound{300e-6};
  const auto round = [&](int times) {
    const Moment begin = device.record();
    for (int i = 0; i < times; ++i) issue();
    const Moment end = device.record();
    device.wait();
    return (device.at(end) - device.at(begin)) / times;
  };
  round(2);  // libraries choose and load kernels
  const Seconds once = round(2);
  const int times =
      std::clamp(static_cast<int>(kRound / std::max(once, Seconds{1e-7})), 1, kMostInARow);
  std::vector<Seconds> rounds;
  for (int r = 0; r < kRounds; ++r) rounds.push_back(round(times));
  return median(std::move(rounds));
}

/// Hands out stretches of one large block of random numbers, round and round: what a call is given,
/// no cache holds any more.
class ColdMemory {
 public:
  ColdMemory(Device& device, Bytes size)
      : block_(device, size.count / kWidth / 2, kWidth, MemoryTerm::Workspace, ElementType::Bf16) {
    // Zeros would draw less power, and so run at higher clocks.
    device.launch(kernels::NormalFill{block_.view(), 0.0F, 1.0F, {1, 2}, 0, 0});
  }
  /// bf16 elements in all. Operands of one call do not overlap if they are half of it together.
  [[nodiscard]] std::int64_t elements() const { return block_.rows() * kWidth; }
  TensorView take(std::int64_t rows, std::int64_t cols, ElementType type = ElementType::Bf16) {
    constexpr std::int64_t kAlignment = 256;
    const std::int64_t bytes =
        (rows * cols * kernels::size_in_bytes(type) + kAlignment - 1) / kAlignment * kAlignment;
    if (next_ + bytes > 2 * block_.rows() * kWidth) next_ = 0;
    void* const memory = static_cast<std::byte*>(block_.memory()) + next_;
    next_ += bytes;
    return {memory, rows, cols, cols, type};
  }

 private:
  static constexpr std::int64_t kWidth = 4096;
  Tensor block_;
  std::int64_t next_ = 0;
};

using Shape = std::array<std::int64_t, 3>;

/// The products of layers that people train, forward and both gradients, cut by tensor parallelism.
std::vector<Shape> gemm_shapes(bool full) {
  struct Layer {
    std::int64_t hidden, kv, up, ffn;  ///< up: columns of the first MLP matrix
  };
  const std::vector<Layer> layers = {{768, 768, 3072, 3072},         // GPT-2
                                     {2048, 2048, 8192, 8192},       // GPT 1.3B
                                     {4096, 4096, 22016, 11008},     // Llama 7B
                                     {4096, 1024, 28672, 14336},     // Llama 3 8B
                                     {5120, 5120, 27648, 13824},     // Llama 13B
                                     {8192, 1024, 57344, 28672},     // Llama 70B
                                     {12288, 12288, 49152, 49152}};  // GPT-3
  const std::vector<std::int64_t> tokens =
      full ? std::vector<std::int64_t>{1, 16, 64, 256, 1024, 2048, 4096, 8192, 16384}
           : std::vector<std::int64_t>{1, 256, 2048, 8192};
  const std::vector<std::int64_t> cuts =
      full ? std::vector<std::int64_t>{1, 2, 4, 8} : std::vector<std::int64_t>{1, 8};
  std::set<Shape> shapes;
  for (const Layer& l : layers) {
    for (const std::int64_t t : cuts) {
      for (const std::int64_t m : tokens) {
        const std::array<Shape, 4> products = {{{m, (l.hidden + 2 * l.kv) / t, l.hidden},
                                                {m, l.hidden, l.hidden / t},
                                                {m, l.up / t, l.hidden},
                                                {m, l.hidden, l.ffn / t}}};
        for (const Shape& p : products) {
          shapes.insert(p);
          if (m >= 1024) {
            shapes.insert({p[0], p[2], p[1]});  // input gradient
            shapes.insert({p[2], p[1], p[0]});  // weight gradient
          }
        }
      }
    }
  }
  std::vector<Shape> out(shapes.begin(), shapes.end());
  if (full) return out;
  std::vector<Shape> some;
  for (std::size_t i = 0; i < out.size(); i += 4) some.push_back(out[i]);
  return some;
}

/// Results go to memory of their own: products of products would soon be infinite, and draw less
/// power than the random numbers that they were to be made of.
Seconds gemm_time(Device& device, ColdMemory& memory, ColdMemory& results, const Shape& shape) {
  const auto [m, n, k] = shape;
  return median_time(device, [&, m = m, n = n, k = k] {
    device.launch(
        kernels::Gemm{.a = memory.take(m, k), .b = memory.take(k, n), .c = results.take(m, n)});
  });
}

std::vector<kernels::AttentionShape> attention_shapes(bool full) {
  std::vector<kernels::AttentionShape> shapes;
  const auto add = [&](std::int64_t batch, std::array<std::int64_t, 3> heads, std::int64_t queries,
                       std::int64_t keys) {
    kernels::AttentionShape s;
    s.batch = batch;
    s.heads = heads[0];
    s.kv_heads = heads[1];
    s.head_dim = heads[2];
    s.query_len = queries;
    s.kv_len = keys;
    s.query_offset = keys - queries;
    s.scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim));
    shapes.push_back(s);
  };
  // Heads, of keys, and their dimension: GPT-2, Llama 7B, Llama 3 8B and 70B, and shares of them.
  const std::vector<std::array<std::int64_t, 3>> kinds = {
      {12, 12, 64}, {32, 32, 128}, {32, 8, 128}, {64, 8, 128}, {8, 1, 128}, {16, 16, 64}};
  const std::vector<std::int64_t> lengths =
      full ? std::vector<std::int64_t>{256, 512, 1024, 2048, 4096, 8192}
           : std::vector<std::int64_t>{512, 2048};
  for (const auto& kind : kinds) {
    for (const std::int64_t length : lengths) {
      for (const std::int64_t batch : {1, 4}) {
        add(batch, kind, length, length);
        for (const std::int64_t sequences : {1, 8, 64}) {
          if (batch == 1) add(sequences, kind, 1, length);  // decoding
        }
      }
    }
  }
  return shapes;
}

GpuAttentionTime attention_time(Device& device, ColdMemory& memory,
                                const kernels::AttentionShape& s) {
  const std::int64_t rows = s.batch * s.query_len, keys = s.batch * s.kv_len;
  const std::int64_t wide = s.heads * s.head_dim, narrow = s.kv_heads * s.head_dim;
  const Tensor statistics(device, 1, s.batch * s.heads * s.query_len, MemoryTerm::Workspace);
  const Tensor out(device, rows, wide, MemoryTerm::Workspace, ElementType::Bf16);
  GpuAttentionTime time{s, {}, {}};
  time.forward = median_time(device, [&] {
    device.launch(kernels::AttentionForward{.shape = s,
                                            .q = memory.take(rows, wide),
                                            .k = memory.take(keys, narrow),
                                            .v = memory.take(keys, narrow),
                                            .out = out.view(),
                                            .log_sum_exp = statistics.elements()});
  });
  if (s.query_len == 1) return time;
  // Gradients of the very q, k, v that gave `out`: other statistics would overflow.
  const TensorView q = memory.take(rows, wide), k = memory.take(keys, narrow),
                   v = memory.take(keys, narrow), dout = memory.take(rows, wide);
  const Tensor dq(device, rows, wide, MemoryTerm::Workspace, ElementType::Bf16),
      dk(device, keys, narrow, MemoryTerm::Workspace, ElementType::Bf16),
      dv(device, keys, narrow, MemoryTerm::Workspace, ElementType::Bf16);
  device.launch(kernels::AttentionForward{
      .shape = s, .q = q, .k = k, .v = v, .out = out.view(), .log_sum_exp = statistics.elements()});
  time.backward = median_time(device, [&] {
    device.launch(kernels::AttentionBackward{.shape = s,
                                             .q = q,
                                             .k = k,
                                             .v = v,
                                             .out = out.view(),
                                             .dout = dout,
                                             .log_sum_exp = statistics.elements(),
                                             .dq = dq.view(),
                                             .dk = dk.view(),
                                             .dv = dv.view()});
  });
  return time;
}

void measure_elementwise(Device& device, ColdMemory& memory, GpuTables& out) {
  constexpr std::int64_t kWidth = 4096;
  const Tensor gamma(device, 1, kWidth, MemoryTerm::Workspace, ElementType::Bf16);
  const Tensor sums(device, 1, 2 * kWidth, MemoryTerm::Workspace);
  device.launch(kernels::Fill{gamma.view(), 1.0F});
  device.launch(kernels::Fill{sums.view(), 0.0F});
  const TensorView row = kernels::columns(sums.view(), 0, kWidth);
  for (const std::int64_t rows : {256, 4096, 16384}) {
    const Tensor statistics(device, 2, rows, MemoryTerm::Workspace);
    const std::span<float> mean = statistics.elements().first(rows),
                           rstd = statistics.elements().last(rows);
    const auto bf16 = [&] { return memory.take(rows, kWidth); };
    const auto measure = [&](const std::function<kernels::Operation()>& make) {
      const kernels::Operation sample = make();
      const Seconds time = median_time(device, [&] { device.launch(make()); });
      out.elementwise.push_back(
          {std::string(kernels::name(sample)), {kernels::bytes_moved(sample)}, time});
    };
    using namespace kernels;
    measure([&] {
      return RmsNormForward{.x = bf16(), .gamma = gamma.view(), .y = bf16(), .rstd = rstd};
    });
    measure([&] {
      return RmsNormBackward{.x = bf16(),
                             .gamma = gamma.view(),
                             .dy = bf16(),
                             .rstd = rstd,
                             .dx = bf16(),
                             .dgamma = row};
    });
    measure([&] {
      return LayerNormForward{.x = bf16(),
                              .gamma = gamma.view(),
                              .beta = gamma.view(),
                              .y = bf16(),
                              .mean = mean,
                              .rstd = rstd};
    });
    measure([&] { return ActivationForward{Activation::GeluTanh, bf16(), bf16()}; });
    measure([&] { return ActivationBackward{Activation::GeluTanh, bf16(), bf16(), bf16()}; });
    measure([&] { return GatedActivationForward{Activation::Silu, bf16(), bf16(), bf16()}; });
    measure([&] { return ResidualAdd{bf16(), bf16(), bf16()}; });
    const Tensor state(device, 3 * rows, kWidth, MemoryTerm::Workspace);
    device.launch(Fill{state.view(), 0.5F});
    measure([&] {
      return AdamW{.parameter = kernels::rows(state.view(), 0, rows),
                   .first_moment = kernels::rows(state.view(), rows, rows),
                   .second_moment = kernels::rows(state.view(), 2 * rows, rows),
                   .gradient = bf16(),
                   .copy = bf16()};
    });
  }
}

void measure_alone(Device& device, Bytes free, bool full, GpuTables& out,
                   const std::function<void(const std::string&)>& progress) {
  const Bytes block{std::min<std::int64_t>(std::int64_t{6} << 30, free.count / 4)};
  ColdMemory memory(device, block);
  progress("copies and launches");
  constexpr std::int64_t kRows = std::int64_t{1} << 17;  // of 4096 bf16: 1 GiB
  const auto copy = [&] {
    return kernels::Copy{memory.take(kRows, 4096), memory.take(kRows, 4096)};
  };
  const Bytes moved{kernels::bytes_moved(copy())};
  out.copy = moved / median_time(device, [&] { device.launch(copy()); });
  const Tensor small(device, 1, 64, MemoryTerm::Workspace);
  out.launch = median_time(device, [&] { device.launch(kernels::Fill{small.view(), 1.0F}); });
  progress("operations that memory bounds");
  measure_elementwise(device, memory, out);
  for (const kernels::AttentionShape& s : attention_shapes(full)) {
    progress("attention of " + std::to_string(s.query_len) + " queries to " +
             std::to_string(s.kv_len) + " keys");
    out.attention.push_back(attention_time(device, memory, s));
  }
  ColdMemory results(device, {block.count / 2});
  const std::vector<Shape> shapes = gemm_shapes(full);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Shape& s = shapes[i];
    if (i % 16 == 0) {
      progress("product " + std::to_string(i + 1) + " of " + std::to_string(shapes.size()));
    }
    if (2 * s[2] * (s[0] + s[1]) > memory.elements() || s[0] * s[1] > results.elements()) {
      continue;  // a small device
    }
    out.gemm.push_back({s[0], s[1], s[2], gemm_time(device, memory, results, s)});
  }
  out.fixed = device.fixed_memory();
}

void measure_collectives(Engine& engine, int ranks, Seating seating, bool full, GpuTables& out) {
  std::vector<std::int64_t> sizes = {1 << 14, 1 << 18, 1 << 22, 1 << 26};
  if (full) sizes.push_back(std::int64_t{1} << 28);
  std::mutex mutex;
  run_in_process(ranks, {}, [&](Communicator& host) {
    SeatOptions seat;
    seat.seating = seating;
    seat.ordinal = seating == Seating::OneEach ? host.rank() : 0;
    seat.partitions = ranks;
    seat.partition = host.rank();
    const auto device = engine.open(host, seat);
    Communicator& world = device->world();
    for (const std::int64_t bytes : sizes) {
      const Tensor data(*device, ranks, bytes / 2 / ranks, MemoryTerm::Workspace,
                        ElementType::Bf16);
      device->launch(kernels::Fill{data.view(), 0.0F});
      const Buffer all = data.buffer();
      const std::size_t width = all.count / static_cast<std::size_t>(ranks);
      const Buffer mine = all.part(static_cast<std::size_t>(host.rank()) * width, width);
      const auto timed = [&](CollectiveCall kind, const std::function<void()>& call) {
        const Seconds time = [&] {
          // Rounds of one: ranks meet before each, so that none waits for a late one inside.
          constexpr int kRounds = 9;
          std::vector<Seconds> rounds;
          for (int r = 0; r < kRounds; ++r) {
            world.barrier();
            const Moment begin = device->record();
            call();
            const Moment end = device->record();
            device->wait();
            if (r > 1) rounds.push_back(device->at(end) - device->at(begin));
          }
          return median(std::move(rounds));
        }();
        const auto estimated = world.estimated(kind, all.count, all.type);
        if (host.rank() != 0) return;
        const std::lock_guard lock(mutex);
        out.collectives.push_back({name(kind), ranks, {bytes}, time, estimated});
      };
      timed(CollectiveCall::AllReduce, [&] { world.all_reduce(all, Reduction::Sum); });
      timed(CollectiveCall::AllGather, [&] { world.all_gather(mine, all); });
      timed(CollectiveCall::ReduceScatter, [&] { world.reduce_scatter(all, mine); });
    }
  });
}

}  // namespace

GpuTables measure_gpu(Engine& engine, bool full,
                      const std::function<void(const std::string&)>& progress) {
  const std::vector<DeviceFacts> devices = engine.devices();
  GpuTables out;
  out.facts = devices.front();
  out.engine = engine.description();
  run_in_process(1, {.timeout = Seconds{600}, .take_turns = false, .in_words = {}},
                 [&](Communicator& host) {
                   const auto device = engine.open(host, SeatOptions{});
                   out.before = engine.state(0);
                   measure_alone(*device, engine.free_memory(0), full, out, progress);
                   out.after = engine.state(0);
                 });
  const int count = static_cast<int>(devices.size());
  out.within_device = count < 2;
  for (const int ranks : {2, 4, 8}) {
    const bool fits = out.within_device ? out.facts.green_contexts : ranks <= count;
    if (!fits) continue;
    progress("collectives of " + std::to_string(ranks) + " ranks");
    measure_collectives(engine, ranks, out.within_device ? Seating::Partitioned : Seating::OneEach,
                        full, out);
  }
  return out;
}

}  // namespace meshplan::runtime
