#include "runtime/measure/host_tables.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "kernels/cpu/kernels.h"
#include "runtime/communicator/in_process.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {
namespace {

using kernels::matrix_view;
using kernels::Operation;
using kernels::vector_view;
using profiles::Bytes;
using profiles::Seconds;

/// Of the elementwise rows and of attention; the other dimensions vary.
constexpr std::int64_t kElementwiseWidth = 640, kAttentionHeads = 4;

Seconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

/// One of the cores that measure the same work at the same time.
class Core {
 public:
  /// `all`: the cores, which start every measurement together; null: this one alone.
  explicit Core(Communicator* all) : all_(all) {}

  kernels::cpu::Queue& queue() { return queue_; }

  /// The median time of `work` over at least `rounds` runs and `patience`; the first does not
  /// count.
  template <typename Work>
  Seconds time(Work work, int rounds = 5, Seconds patience = Seconds{0.01}) {
    work();
    if (all_ != nullptr) all_->barrier();
    std::vector<Seconds> times;
    const Seconds begin = now();
    for (int round = 0; round < rounds || now() - begin < patience; ++round) {
      const Seconds start = now();
      work();
      times.push_back(now() - start);
    }
    return median(std::move(times));
  }
  Seconds time_of(const Operation& operation) {
    return time([&] { run(operation, queue_); });
  }

 private:
  Communicator* all_;
  kernels::cpu::Queue queue_;
};

/// Numbers that no kernel treats specially; the same in every run.
std::vector<float> numbers(std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(static_cast<double>(i % 251) / 251.0 - 0.5);
  }
  return out;
}

/// Hands out stretches of one large block, round and round: what a call is given, it has not seen
/// for so long that no cache of its core holds it, as in training, where every product has weights
/// of its own.
class ColdMemory {
 public:
  float* take(std::int64_t count) {
    const auto size = static_cast<std::int64_t>(block_.size());
    if (next_ + count > size) next_ = 0;
    float* const out = block_.data() + next_;
    constexpr std::int64_t kAlignment = 16;
    next_ += (count + kAlignment - 1) / kAlignment * kAlignment;
    return out;
  }

 private:
  std::vector<float> block_ = numbers(std::int64_t{24} << 20);  // 96 MiB
  std::int64_t next_ = 0;
};

Seconds gemm_time(std::int64_t m, std::int64_t n, std::int64_t k, ColdMemory& memory, Core& core) {
  const auto timed = [&](kernels::Gemm gemm) {
    const auto fresh = [&](auto& view) { view.data = memory.take(view.elements()); };
    return core.time(
        [&] {
          fresh(gemm.a);
          fresh(gemm.b);
          fresh(gemm.c);
          run(gemm, core.queue());
        },
        6);
  };
  float* const later = nullptr;  // each call takes its own
  const auto in = [&](std::int64_t rows, std::int64_t cols) {
    return kernels::ConstTensorView(matrix_view(later, rows, cols));
  };
  const kernels::TensorView c = matrix_view(later, m, n);
  const Seconds forward = timed({.a = in(m, k), .b = in(k, n), .c = c});
  if (m < kFewRows) return forward;
  const Seconds input_gradient = timed({.a = in(m, k), .b = in(n, k), .c = c, .transpose_b = true});
  const Seconds weight_gradient =
      timed({.a = in(k, m), .b = in(k, n), .c = c, .transpose_a = true, .accumulate = true});
  return (forward + input_gradient + weight_gradient) / 3;
}

/// Both passes of causal attention of one sequence.
AttentionTime attention_time(std::int64_t heads, std::int64_t sequence, std::int64_t head_dim,
                             Core& core, float dropout = 0) {
  const std::int64_t columns = heads * head_dim;
  std::vector<float> q = numbers(sequence * columns), k = q, v = q, out = q, dout = q, dq = q,
                     dk = q, dv = q, statistics(static_cast<std::size_t>(heads * sequence));
  const kernels::AttentionShape shape{.batch = 1,
                                      .heads = heads,
                                      .kv_heads = heads,
                                      .head_dim = head_dim,
                                      .query_len = sequence,
                                      .kv_len = sequence,
                                      .scale = 1 / std::sqrt(static_cast<float>(head_dim))};
  const kernels::AttentionDropout drops{
      .probability = dropout, .key = {1, 2}, .model_heads = heads};
  const auto view = [&](std::vector<float>& x) { return matrix_view(x.data(), sequence, columns); };
  AttentionTime time{heads, sequence, head_dim, {}, {}};
  time.forward = core.time_of(
      kernels::AttentionForward{shape, view(q), view(k), view(v), view(out), statistics, drops});
  time.backward = core.time_of(kernels::AttentionBackward{shape, view(q), view(k), view(v),
                                                          view(out), view(dout), statistics,
                                                          view(dq), view(dk), view(dv), drops});
  return time;
}

/// The cache is cold: between two steps of decoding the weights of all layers pass by.
DecodeTime decode_time(std::int64_t keys, std::int64_t group, std::int64_t head_dim,
                       ColdMemory& memory, Core& core) {
  constexpr std::int64_t kKvHeads = 4;
  const std::int64_t heads = kKvHeads * group;
  std::vector<float> q = numbers(heads * head_dim), out = q,
                     statistics(static_cast<std::size_t>(heads));
  kernels::AttentionForward one;
  one.shape = {.batch = 1,
               .heads = heads,
               .kv_heads = kKvHeads,
               .head_dim = head_dim,
               .query_len = 1,
               .kv_len = keys,
               .query_offset = keys - 1,
               .scale = 1 / std::sqrt(static_cast<float>(head_dim))};
  one.q = matrix_view(q.data(), 1, heads * head_dim);
  one.out = matrix_view(out.data(), 1, heads * head_dim);
  one.log_sum_exp = statistics;
  const std::int64_t width = kKvHeads * head_dim;
  const Seconds time = core.time([&] {
    one.k = matrix_view(memory.take(keys * width), keys, width);
    one.v = matrix_view(memory.take(keys * width), keys, width);
    run(one, core.queue());
  });
  return {kKvHeads, keys, group, head_dim, time};
}

/// What drawing adds for each visible pair of query and key, the mean of both passes.
Seconds dropout_pair(Core& core) {
  constexpr std::int64_t kHeads = 4, kSequence = 384, kDim = 48;
  const AttentionTime plain = attention_time(kHeads, kSequence, kDim, core);
  const AttentionTime dropped = attention_time(kHeads, kSequence, kDim, core, 0.1F);
  const double pairs = kHeads * kSequence * (kSequence + 1) / 2.0;
  const Seconds added = dropped.forward + dropped.backward - plain.forward - plain.backward;
  return std::max(added / (2 * pairs), Seconds{0});
}

/// One layer's worth on [rows, width] tensors. The planner charges 44 of them: two norms forward
/// (2) and backward (4), the activation forward (2) and backward (3) over four times the width, two
/// residuals forward and backward (3). Biases hide in the products there, here they are calls.
ElementwiseTime elementwise_time(std::int64_t rows, std::int64_t width, Core& core) {
  const std::int64_t wide = 4 * width;
  std::vector<float> x = numbers(rows * wide), y = x, z = x, gamma = numbers(wide), sums = gamma,
                     shift = gamma, mean = numbers(rows), rstd = mean;
  std::fill(rstd.begin(), rstd.end(), 1.0F);
  const auto narrow = [&](std::vector<float>& t) { return matrix_view(t.data(), rows, width); };
  const auto whole = [&](std::vector<float>& t) { return matrix_view(t.data(), rows, wide); };
  const auto row = [&](std::vector<float>& t) { return vector_view(t.data(), width); };
  const auto kind = kernels::Activation::GeluTanh;
  using namespace kernels;
  const std::vector<std::pair<int, Operation>> layer = {
      {2, LayerNormForward{narrow(x), row(gamma), row(shift), 1e-5F, narrow(y), mean, rstd}},
      {2, LayerNormBackward{narrow(x), row(gamma), narrow(z), mean, rstd, narrow(y), row(sums),
                            row(shift)}},
      {1, ActivationForward{kind, whole(x), whole(y)}},
      {1, ActivationBackward{kind, whole(x), whole(z), whole(y)}},
      {4, ResidualAdd{narrow(x), narrow(z), narrow(y)}},
      {2, BiasForward{narrow(x), row(gamma), narrow(y)}},
      {5, BiasBackward{narrow(z), row(sums)}},
      {1, BiasBackward{whole(z), vector_view(sums.data(), wide)}},
  };
  Seconds time{0};
  for (const auto& [times, operation] : layer) {
    time += times * core.time_of(operation);
  }
  const Bytes tensor{4 * rows * width};
  return {tensor, 44 * tensor, time};
}

/// The faster of a copy and the optimizer's update: the one writes memory that it has not read,
/// the other has four streams in and three out.
profiles::BytesPerSecond stream_bandwidth(Core& core) {
  constexpr std::int64_t kElements = 16 << 20;  // 64 MiB each
  std::vector<float> x = numbers(kElements), y = x, z = x, w(kElements, 0.5F);
  const auto row = [](std::vector<float>& t) { return vector_view(t.data(), kElements); };
  const kernels::Copy copy{row(x), row(y)};
  const kernels::AdamW update{
      .parameter = row(x), .first_moment = row(y), .second_moment = row(w), .gradient = row(z)};
  const Seconds copied = core.time_of(copy), updated = core.time_of(update);
  return std::max(Bytes{kernels::bytes_moved(copy)} / copied,
                  Bytes{kernels::bytes_moved(update)} / updated,
                  [](auto a, auto b) { return a.rate < b.rate; });
}

AllReduceTime all_reduce_time(std::int64_t elements) {
  AllReduceTime out{{4 * elements}, Seconds{0}};
  run_in_process(2, {}, [&](Communicator& world) {
    std::vector<float> data = numbers(elements);
    constexpr int kRounds = 30;
    std::vector<Seconds> times;
    for (int round = 0; round < kRounds; ++round) {
      world.barrier();
      const Seconds start = now();
      world.all_reduce(data, Reduction::Sum);
      times.push_back(now() - start);
    }
    if (world.rank() == 0) out.time = median(std::move(times));
  });
  return out;
}

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
  out.all_reduce_elements = {5 << 4, 5 << 8, 5 << 12, 5 << 16, 5 << 18};
  return out;
}

namespace {

using Progress = std::function<void(const std::string&)>;

/// All but collectives and the factors of a core alone.
HostTables measure_core(const ProfiledShapes& shapes, Core& core, const Progress& progress) {
  HostTables out;
  progress("memory");
  out.stream = stream_bandwidth(core);
  for (const std::int64_t rows : shapes.elementwise_rows) {
    out.elementwise.push_back(elementwise_time(rows, kElementwiseWidth, core));
  }
  std::vector<float> one = numbers(16);
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
  return out;
}

/// Some of the same on a core alone, over what `busy` says.
profiles::TimeFactors alone(const HostTables& busy) {
  Core core(nullptr);
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
  return {mean(gemm), mean(attention), mean(memory_bound)};
}

/// The mean over cores, number by number.
HostTables mean_of(const std::vector<HostTables>& cores) {
  HostTables out = cores.front();
  const double share = 1.0 / static_cast<double>(cores.size());
  const auto average = [&](auto get) {
    auto sum = share * get(cores.front());
    for (std::size_t c = 1; c < cores.size(); ++c) sum += share * get(cores[c]);
    return sum;
  };
  for (std::size_t i = 0; i < out.gemm.size(); ++i) {
    out.gemm[i].time = average([&](const HostTables& t) { return t.gemm[i].time; });
  }
  for (std::size_t i = 0; i < out.gemm_held_out.size(); ++i) {
    out.gemm_held_out[i].time =
        average([&](const HostTables& t) { return t.gemm_held_out[i].time; });
  }
  for (std::size_t i = 0; i < out.attention.size(); ++i) {
    out.attention[i].forward = average([&](const HostTables& t) { return t.attention[i].forward; });
    out.attention[i].backward =
        average([&](const HostTables& t) { return t.attention[i].backward; });
  }
  for (std::size_t i = 0; i < out.decode.size(); ++i) {
    out.decode[i].time = average([&](const HostTables& t) { return t.decode[i].time; });
  }
  for (std::size_t i = 0; i < out.elementwise.size(); ++i) {
    out.elementwise[i].time = average([&](const HostTables& t) { return t.elementwise[i].time; });
  }
  out.stream.rate = average([](const HostTables& t) { return t.stream.rate; });
  out.call = average([](const HostTables& t) { return t.call; });
  out.dropout_pair = average([](const HostTables& t) { return t.dropout_pair; });
  out.cores = static_cast<int>(cores.size());
  return out;
}

}  // namespace

HostTables measure_host(Effort effort, int cores, const Progress& progress) {
  const ProfiledShapes shapes = profiled_shapes(effort);
  std::vector<HostTables> by_core(static_cast<std::size_t>(cores));
  run_in_process(cores, {}, [&](Communicator& all) {
    Core core(cores > 1 ? &all : nullptr);
    const int rank = all.rank();
    int step = 0;
    by_core[static_cast<std::size_t>(rank)] =
        measure_core(shapes, core, [&](const std::string& what) {
          all.note({step++, 0});  // a rank that is silent for too long has failed
          if (rank == 0) progress(what);
        });
  });
  HostTables out = mean_of(by_core);
  if (cores == 1) return out;
  progress("one core alone");
  out.alone = alone(out);
  for (const std::int64_t elements : shapes.all_reduce_elements) {
    progress("all-reduce of " + std::to_string(elements) + " numbers");
    out.all_reduce.push_back(all_reduce_time(elements));
  }
  return out;
}

}  // namespace meshplan::runtime
