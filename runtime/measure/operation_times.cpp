#include "runtime/measure/operation_times.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/kernels.h"

namespace meshplan::runtime {

using kernels::matrix_view;
using kernels::Operation;
using kernels::vector_view;
using profiles::Bytes;
using profiles::Seconds;

Seconds gemm_time(std::int64_t m, std::int64_t n, std::int64_t k, ColdMemory& memory,
                  MeasuringCore& core) {
  std::vector<float> activation = ordinary_numbers(m * std::max(n, k)), gradient = activation;
  const auto timed = [&](auto operands) {
    return core.time([&] { run(operands(), core.queue()); }, 6);
  };
  const auto cold = [&](std::int64_t rows, std::int64_t cols) {
    return matrix_view(memory.take(rows * cols), rows, cols);
  };
  const auto warm = [&](std::vector<float>& t, std::int64_t rows, std::int64_t cols) {
    return matrix_view(t.data(), rows, cols);
  };
  const Seconds forward = timed(
      [&] { return kernels::Gemm{.a = warm(activation, m, k), .b = cold(k, n), .c = cold(m, n)}; });
  if (m < kFewRows) return forward;
  const Seconds input_gradient = timed([&] {
    return kernels::Gemm{.a = warm(gradient, m, k),
                         .b = cold(n, k),
                         .c = warm(activation, m, n),
                         .transpose_b = true};
  });
  // [m, n] of a weight, over k tokens.
  std::vector<float> upstream = ordinary_numbers(k * n);
  const Seconds weight_gradient = timed([&] {
    return kernels::Gemm{.a = cold(k, m),
                         .b = warm(upstream, k, n),
                         .c = cold(m, n),
                         .transpose_a = true,
                         .accumulate = true};
  });
  return (forward + input_gradient + weight_gradient) / 3;
}

AttentionTime attention_time(std::int64_t heads, std::int64_t sequence, std::int64_t head_dim,
                             MeasuringCore& core, float dropout) {
  const std::int64_t columns = heads * head_dim;
  std::vector<float> q = ordinary_numbers(sequence * columns), k = q, v = q, out = q, dout = q,
                     dq = q, dk = q, dv = q, statistics(static_cast<std::size_t>(heads * sequence));
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

DecodeTime decode_time(std::int64_t keys, std::int64_t group, std::int64_t head_dim,
                       ColdMemory& memory, MeasuringCore& core) {
  constexpr std::int64_t kKvHeads = 4;
  const std::int64_t heads = kKvHeads * group;
  std::vector<float> q = ordinary_numbers(heads * head_dim), out = q,
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

Seconds dropout_pair(MeasuringCore& core) {
  constexpr std::int64_t kHeads = 4, kSequence = 384, kDim = 48;
  const AttentionTime plain = attention_time(kHeads, kSequence, kDim, core, 0);
  const AttentionTime dropped = attention_time(kHeads, kSequence, kDim, core, 0.1F);
  const double pairs = kHeads * kSequence * (kSequence + 1) / 2.0;
  const Seconds added = dropped.forward + dropped.backward - plain.forward - plain.backward;
  return std::max(added / (2 * pairs), Seconds{0});
}

ElementwiseTime elementwise_time(std::int64_t rows, std::int64_t width, MeasuringCore& core) {
  const std::int64_t wide = 4 * width;
  std::vector<float> x = ordinary_numbers(rows * wide), y = x, z = x,
                     gamma = ordinary_numbers(wide), sums = gamma, shift = gamma,
                     mean = ordinary_numbers(rows), rstd = mean;
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

profiles::BytesPerSecond stream_bandwidth(MeasuringCore& core) {
  constexpr std::int64_t kElements = 16 << 20;  // 64 MiB each
  std::vector<float> x = ordinary_numbers(kElements), y = x, z = x, w(kElements, 0.5F);
  const auto row = [](std::vector<float>& t) { return vector_view(t.data(), kElements); };
  const kernels::Copy copy{row(x), row(y)};
  const kernels::AdamW update{
      .parameter = row(x), .first_moment = row(y), .second_moment = row(w), .gradient = row(z)};
  const Seconds copied = core.time_of(copy), updated = core.time_of(update);
  return std::max(Bytes{kernels::bytes_moved(copy)} / copied,
                  Bytes{kernels::bytes_moved(update)} / updated,
                  [](auto a, auto b) { return a.rate < b.rate; });
}

}  // namespace meshplan::runtime
