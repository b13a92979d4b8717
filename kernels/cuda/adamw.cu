#include <cmath>

#include "kernels/adamw.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/cuda/math.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

/// AdamW's scalars, with the corrections of the step worked in.
struct Factors {
  float beta1, beta2, rest1, rest2;  ///< rest = 1 - beta, rounded once
  float inverse_correction1, inverse_correction2;
  float epsilon, learning_rate, weight_decay, gradient_scale;
};

template <int kWidth>
struct Update {
  Output parameter, first, second, copy;
  Input gradient;
  Factors f;

  struct Loaded {
    Words p, m, v, g;
  };
  MESHPLAN_DEVICE Loaded load(const Place& place, bool aligned) const {
    return {cuda::load<kWidth>(as_input(parameter), place, aligned),
            cuda::load<kWidth>(as_input(first), place, aligned),
            cuda::load<kWidth>(as_input(second), place, aligned),
            cuda::load<kWidth>(gradient, place, aligned)};
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Loaded& loaded) const {
    float p[kWidth], m[kWidth], v[kWidth], g[kWidth];
    unpack<kWidth>(loaded.p, parameter.type, p);
    unpack<kWidth>(loaded.m, first.type, m);
    unpack<kWidth>(loaded.v, second.type, v);
    unpack<kWidth>(loaded.g, gradient.type, g);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float scaled = f.gradient_scale * g[i];
      m[i] = f.beta1 * m[i] + f.rest1 * scaled;
      v[i] = f.beta2 * v[i] + f.rest2 * scaled * scaled;
      const float direction =
          m[i] * f.inverse_correction1 / (root(v[i] * f.inverse_correction2) + f.epsilon);
      p[i] -= f.learning_rate * (direction + f.weight_decay * p[i]);
    }
    store<kWidth>(first, place, aligned, m);
    store<kWidth>(second, place, aligned, v);
    store<kWidth>(parameter, place, aligned, p);
    if (copy.data != nullptr) store<kWidth>(copy, place, aligned, p);
  }
};

/// Blocks of a sum of squares: as many parts for every device, so that the order of additions is
/// a matter of the shape alone.
inline constexpr std::uint32_t kSquareParts = 1024;

template <int kWidth>
struct SumSquaresOfPart {
  Input x;
  Chunks chunks;
  std::uint32_t parts;
  double* partial;

  struct State {
    double sum;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    for (std::uint32_t part = group.index(); part < parts; part += group.count()) {
      typename G::template PerLane<State> state;
      group.each(state, [&](int lane, State& s) {
        s.sum = 0;
        // Parts interleave, so that all blocks read neighbouring memory at a time.
        const std::uint32_t stride = parts * G::lanes;
        constexpr int kAhead = 4;
        for (std::uint32_t i = part * G::lanes + static_cast<std::uint32_t>(lane); i < chunks.count;
             i += kAhead * stride) {
          Words words[kAhead];
#pragma unroll
          for (int j = 0; j < kAhead; ++j) {
            const std::uint32_t chunk = i + static_cast<std::uint32_t>(j) * stride;
            if (chunk < chunks.count)
              words[j] = load<kWidth>(x, chunks.place<kWidth>(chunk), chunks.aligned);
          }
#pragma unroll
          for (int j = 0; j < kAhead; ++j) {
            float values[kWidth];
            unpack<kWidth>(words[j], x.type, values);
#pragma unroll
            for (int k = 0; k < kWidth; ++k) {
              const auto wide = static_cast<double>(values[k]);
              s.sum += wide * wide;
            }
          }
        }
      });
      const double total = sum(group, state, [](const State& s) { return s.sum; });
      group.each([&](int lane) {
        if (lane == 0) partial[part] = total;
      });
    }
  }
};

struct AddSquares {
  const double* partial;
  std::uint32_t parts;
  double* total;

  struct State {
    double sum;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    if (group.index() != 0) return;
    typename G::template PerLane<State> state;
    group.each(state, [&](int lane, State& s) {
      s.sum = 0;
      for (std::uint32_t i = static_cast<std::uint32_t>(lane); i < parts; i += G::lanes)
        s.sum += partial[i];
    });
    const double added = sum(group, state, [](const State& s) { return s.sum; });
    group.each([&](int lane) {
      if (lane == 0) *total += added;
    });
  }
};

}  // namespace

void run(const AdamW& op, Queue& queue) {
  check_shapes(op);
  if (op.parameter.rows > 1 &&
      all_contiguous(op.parameter, op.first_moment, op.second_moment, op.gradient, op.copy)) {
    AdamW flat = op;
    flat.parameter = one_row(op.parameter);
    flat.first_moment = one_row(op.first_moment);
    flat.second_moment = one_row(op.second_moment);
    flat.gradient = one_row(op.gradient);
    flat.copy = one_row(op.copy);
    return run(flat, queue);
  }
  const double beta1 = op.beta1, beta2 = op.beta2;
  const auto step = static_cast<double>(op.step);
  const Factors factors{op.beta1,
                        op.beta2,
                        static_cast<float>(1 - beta1),
                        static_cast<float>(1 - beta2),
                        static_cast<float>(1 / (1 - std::pow(beta1, step))),
                        static_cast<float>(1 / (1 - std::pow(beta2, step))),
                        op.epsilon,
                        op.learning_rate,
                        op.weight_decay,
                        op.gradient_scale};
  map<Update>(queue,
              chunks_of(op.parameter.rows, op.parameter.cols,
                        {op.parameter, op.first_moment, op.second_moment, op.gradient, op.copy}),
              Output(op.parameter), Output(op.first_moment), Output(op.second_moment),
              Output(op.copy), Input(op.gradient), factors);
}

void run(const SumOfSquares& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && op.x.contiguous()) return run(SumOfSquares{one_row(op.x), op.sum}, queue);
  const Chunks chunks = chunks_of(op.x.rows, op.x.cols, {op.x});
  if (chunks.count == 0) return;
  const auto parts = static_cast<std::uint32_t>(
      std::min<std::int64_t>(kSquareParts, ceiling_of_quotient(chunks.count, kMapLanes)));
  Queue::State& state = queue.state();
  auto* partial = static_cast<double*>(state.scratch.reserve(8 * parts, state.stream));
  if (chunks.width == 8)
    issue<kMapLanes>(queue, parts, SumSquaresOfPart<8>{op.x, chunks, parts, partial});
  else
    issue<kMapLanes>(queue, parts, SumSquaresOfPart<4>{op.x, chunks, parts, partial});
  issue<kMapLanes>(queue, 1, AddSquares{partial, parts, op.sum});
}

}  // namespace meshplan::kernels::cuda
