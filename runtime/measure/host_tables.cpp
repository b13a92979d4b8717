#include "runtime/measure/host_tables.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <thread>

#include "kernels/cpu/kernels.h"
#include "runtime/communicator/in_process.h"

namespace meshplan::runtime {
namespace {

using kernels::matrix_view;
using kernels::Operation;
using kernels::vector_view;
using profiles::Bytes;
using profiles::Seconds;

Seconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

/// The least time of `work` over at least `rounds` runs and `patience`; the first does not count.
template <typename Work>
Seconds least_time(Work work, int rounds = 5, Seconds patience = Seconds{0.01}) {
  work();
  Seconds least{1e9};
  const Seconds begin = now();
  for (int round = 0; round < rounds || now() - begin < patience; ++round) {
    const Seconds start = now();
    work();
    least = std::min(least, now() - start);
  }
  return least;
}

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

Seconds gemm_time(std::int64_t m, std::int64_t n, std::int64_t k, ColdMemory& memory,
                  kernels::cpu::Queue& queue) {
  const auto timed = [&](kernels::Gemm gemm) {
    const auto fresh = [&](auto& view) { view.data = memory.take(view.elements()); };
    return least_time(
        [&] {
          fresh(gemm.a);
          fresh(gemm.b);
          fresh(gemm.c);
          run(gemm, queue);
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

AttentionTime attention_time(std::int64_t heads, std::int64_t sequence, std::int64_t head_dim,
                             kernels::cpu::Queue& queue) {
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
  const auto view = [&](std::vector<float>& x) { return matrix_view(x.data(), sequence, columns); };
  AttentionTime time{heads, sequence, head_dim, {}, {}};
  time.forward = least_time([&] {
    run(kernels::AttentionForward{shape, view(q), view(k), view(v), view(out), statistics}, queue);
  });
  time.backward = least_time([&] {
    run(kernels::AttentionBackward{shape, view(q), view(k), view(v), view(out), view(dout),
                                   statistics, view(dq), view(dk), view(dv)},
        queue);
  });
  return time;
}

/// The cache is cold: between two steps of decoding the weights of all layers pass by.
DecodeTime decode_time(std::int64_t keys, std::int64_t group, std::int64_t head_dim,
                       ColdMemory& memory, kernels::cpu::Queue& queue) {
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
  const Seconds time = least_time([&] {
    one.k = matrix_view(memory.take(keys * width), keys, width);
    one.v = matrix_view(memory.take(keys * width), keys, width);
    run(one, queue);
  });
  return {kKvHeads, keys, group, head_dim, time};
}

/// One layer's worth on [rows, width] tensors. The planner charges 44 of them: two norms forward
/// (2) and backward (4), the activation forward (2) and backward (3) over four times the width, two
/// residuals forward and backward (3). Biases hide in the products there, here they are calls.
ElementwiseTime elementwise_time(std::int64_t rows, std::int64_t width,
                                 kernels::cpu::Queue& queue) {
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
    time += times * least_time([&] { run(operation, queue); });
  }
  const Bytes tensor{4 * rows * width};
  return {tensor, 44 * tensor, time};
}

/// The faster of a copy and the optimizer's update: the one writes memory that it has not read,
/// the other has four streams in and three out.
profiles::BytesPerSecond stream_bandwidth(kernels::cpu::Queue& queue) {
  constexpr std::int64_t kElements = 16 << 20;  // 64 MiB each
  std::vector<float> x = numbers(kElements), y = x, z = x, w(kElements, 0.5F);
  const auto row = [](std::vector<float>& t) { return vector_view(t.data(), kElements); };
  const kernels::Copy copy{row(x), row(y)};
  const kernels::AdamW update{
      .parameter = row(x), .first_moment = row(y), .second_moment = row(w), .gradient = row(z)};
  const Seconds copied = least_time([&] { run(copy, queue); });
  const Seconds updated = least_time([&] { run(update, queue); });
  return std::max(Bytes{kernels::bytes_moved(copy)} / copied,
                  Bytes{kernels::bytes_moved(update)} / updated,
                  [](auto a, auto b) { return a.rate < b.rate; });
}

AllReduceTime all_reduce_time(std::int64_t elements) {
  AllReduceTime out{{4 * elements}, Seconds{0}};
  run_in_process(2, {}, [&](Communicator& world) {
    std::vector<float> data = numbers(elements);
    constexpr int kRounds = 30;
    Seconds least{1e9};
    for (int round = 0; round < kRounds; ++round) {
      world.barrier();
      const Seconds start = now();
      world.all_reduce(data, Reduction::Sum);
      least = std::min(least, now() - start);
    }
    if (world.rank() == 0) out.time = least;
  });
  return out;
}

}  // namespace

ProfiledShapes profiled_shapes(Effort effort) {
  ProfiledShapes out;
  const bool full = effort == Effort::Full;
  out.gemm_rows = full ? std::vector<std::int64_t>{1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 96, 200, 400, 800, 1600}
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

HostTables measure_host(Effort effort, const std::function<void(const std::string&)>& progress) {
  const ProfiledShapes shapes = profiled_shapes(effort);
  kernels::cpu::Queue queue;
  HostTables out;
  progress("memory");
  out.stream = stream_bandwidth(queue);
  for (const std::int64_t rows : shapes.elementwise_rows) {
    out.elementwise.push_back(elementwise_time(rows, 640, queue));
  }
  std::vector<float> one = numbers(16);
  const kernels::ResidualAdd smallest{vector_view(one.data(), 16), vector_view(one.data(), 16),
                                      vector_view(one.data(), 16)};
  out.call = least_time([&] { run(Operation(smallest), queue); }, 1000);

  const auto times = [](std::int64_t m, std::int64_t n, std::int64_t k) {
    return std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k);
  };
  ColdMemory memory;
  const auto product = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    progress("product " + times(m, n, k));
    return GemmTime{m, n, k, gemm_time(m, n, k, memory, queue)};
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
      out.attention.push_back(attention_time(4, length, dim, queue));
    }
  }
  out.decode_lengths = shapes.decode_lengths;
  out.decode_groups = shapes.decode_groups;
  for (const std::int64_t keys : out.decode_lengths) {
    progress("decoding over " + std::to_string(keys) + " tokens");
    for (const std::int64_t group : out.decode_groups) {
      for (const std::int64_t dim : out.head_dims) {
        out.decode.push_back(decode_time(keys, group, dim, memory, queue));
      }
    }
  }
  if (std::thread::hardware_concurrency() >= 2) {
    for (const std::int64_t elements : shapes.all_reduce_elements) {
      progress("all-reduce of " + std::to_string(elements) + " numbers");
      out.all_reduce.push_back(all_reduce_time(elements));
    }
  }
  return out;
}

}  // namespace meshplan::runtime
