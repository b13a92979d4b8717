// Layer norm and RMS norm: the latter is the former with mean 0 and without beta.
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.h"
#include "kernels/cuda/row.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

struct Pair {
  float first;
  float second;
};
MESHPLAN_DEVICE Pair operator+(const Pair& a, const Pair& b) {
  return {a.first + b.first, a.second + b.second};
}

/// The statistics of a row, then y. mean is null in RMS norm.
template <int kWidth>
struct Forward {
  RowShape shape;
  Input x, gamma, beta;
  Output y;
  float* mean;
  float* rstd;
  float epsilon;

  struct State {
    Words x[kKeptChunks];
    Pair sums;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::uint32_t rounds = shape.rounds<G>();
    const float share = 1.0F / static_cast<float>(shape.cols > 0 ? shape.cols : 1);
    for (std::int64_t row = group.index(); row < shape.rows; row += group.count()) {
      typename G::template PerLane<State> state;
      float centre = 0;
      if (mean != nullptr) {
        group.each(state, [&](int lane, State& s) {
          s.sums = {0, 0};
          for (std::uint32_t round = 0; round < rounds; ++round) {
            shape.load_round<kWidth, G>(x, row, round, lane, s.x);
#pragma unroll
            for (int j = 0; j < kKeptChunks; ++j) {
              float values[kWidth];
              unpack<kWidth>(s.x[j], x.type, values);  // 0 past the end
#pragma unroll
              for (int i = 0; i < kWidth; ++i) s.sums.first += values[i];
            }
          }
        });
        centre = sum(group, state, [](const State& s) { return s.sums.first; }) * share;
      }
      // The first mean carries the rounding of a long sum; the deviations around it give the rest.
      const bool loaded = mean != nullptr && rounds <= 1;
      group.each(state, [&](int lane, State& s) {
        s.sums = {0, 0};
        for (std::uint32_t round = 0; round < rounds; ++round) {
          if (!loaded) shape.load_round<kWidth, G>(x, row, round, lane, s.x);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const int end = shape.place<kWidth, G>(row, round, j, lane).end;
            float values[kWidth];
            unpack<kWidth>(s.x[j], x.type, values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i) {
              const float deviation = i < end ? values[i] - centre : 0.0F;
              s.sums.first += deviation;
              s.sums.second += deviation * deviation;
            }
          }
        }
      });
      const Pair sums = sum(group, state, [](const State& s) { return s.sums; });
      const float rest = mean != nullptr ? sums.first * share : 0.0F;
      const float row_mean = centre + rest;
      const float row_rstd = reciprocal_root(sums.second * share - rest * rest + epsilon);
      group.each(state, [&](int lane, State& s) {
        for (std::uint32_t round = 0; round < rounds; ++round) {
          if (rounds > 1) shape.load_round<kWidth, G>(x, row, round, lane, s.x);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const Place place = shape.place<kWidth, G>(row, round, j, lane);
            if (place.end == 0) continue;
            const Place parameter{0, place.column, 0, place.end};
            float values[kWidth], of_columns[kWidth];
            unpack<kWidth>(s.x[j], x.type, values);
            load_parameter<kWidth>(gamma, parameter, shape.aligned, of_columns);
#pragma unroll
            for (int i = 0; i < kWidth; ++i)
              values[i] = (values[i] - row_mean) * row_rstd * of_columns[i];
            if (beta.data != nullptr) {
              load_parameter<kWidth>(beta, parameter, shape.aligned, of_columns);
#pragma unroll
              for (int i = 0; i < kWidth; ++i) values[i] += of_columns[i];
            }
            store<kWidth>(y, place, shape.aligned, values);
          }
        }
        if (lane == 0) {
          if (mean != nullptr) mean[row] = row_mean;
          rstd[row] = row_rstd;
        }
      });
    }
  }
};

/// dx of a row. mean is null in RMS norm, where the mean of g does not enter.
template <int kWidth>
struct InputGradient {
  RowShape shape;
  Input x, gamma, dy;
  const float* mean;
  const float* rstd;
  Output dx;

  struct State {
    Words x[kKeptChunks], dy[kKeptChunks];
    Pair sums;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::uint32_t rounds = shape.rounds<G>();
    const float share = 1.0F / static_cast<float>(shape.cols > 0 ? shape.cols : 1);
    for (std::int64_t row = group.index(); row < shape.rows; row += group.count()) {
      const float row_mean = mean != nullptr ? mean[row] : 0.0F;
      const float row_rstd = rstd[row];
      typename G::template PerLane<State> state;
      group.each(state, [&](int lane, State& s) {
        s.sums = {0, 0};
        for (std::uint32_t round = 0; round < rounds; ++round) {
          shape.load_round<kWidth, G>(x, row, round, lane, s.x);
          shape.load_round<kWidth, G>(dy, row, round, lane, s.dy);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const Place place = shape.place<kWidth, G>(row, round, j, lane);
            if (place.end == 0) continue;
            float values[kWidth], g[kWidth];
            gradient_of_normalised(s.dy[j], place, g);  // 0 past the end
            unpack<kWidth>(s.x[j], x.type, values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i) {
              s.sums.first += g[i];
              s.sums.second += g[i] * (values[i] - row_mean);
            }
          }
        }
      });
      const Pair sums = sum(group, state, [](const State& s) { return s.sums; });
      const float mean_g = mean != nullptr ? sums.first * share : 0.0F;
      const float mean_gh = sums.second * share * row_rstd;
      group.each(state, [&](int lane, State& s) {
        for (std::uint32_t round = 0; round < rounds; ++round) {
          if (rounds > 1) {
            shape.load_round<kWidth, G>(x, row, round, lane, s.x);
            shape.load_round<kWidth, G>(dy, row, round, lane, s.dy);
          }
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const Place place = shape.place<kWidth, G>(row, round, j, lane);
            if (place.end == 0) continue;
            float values[kWidth], g[kWidth];
            gradient_of_normalised(s.dy[j], place, g);
            unpack<kWidth>(s.x[j], x.type, values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i)
              g[i] = row_rstd * (g[i] - mean_g - (values[i] - row_mean) * row_rstd * mean_gh);
            store<kWidth>(dx, place, shape.aligned, g);
          }
        }
      });
    }
  }

  /// g = dy * gamma
  MESHPLAN_DEVICE void gradient_of_normalised(const Words& words, const Place& place,
                                              float (&g)[kWidth]) const {
    float of_columns[kWidth];
    load_parameter<kWidth>(gamma, {0, place.column, 0, place.end}, shape.aligned, of_columns);
    unpack<kWidth>(words, dy.type, g);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) g[i] *= of_columns[i];
  }
};

/// Sums over rows: dy * h, and of layer norm dy.
template <int kWidth, int kSumsOfColumn>
struct ParameterGradientOf {
  Input x, dy;
  const float* mean;
  const float* rstd;

  static constexpr int kSums = kSumsOfColumn;
  MESHPLAN_DEVICE void add(const Place& place, bool aligned, float (&sums)[kSums][kWidth]) const {
    const Words of_x = load<kWidth>(x, place, aligned);
    const Words of_dy = load<kWidth>(dy, place, aligned);
    const float row_mean = mean != nullptr ? mean[place.row] : 0.0F;
    const float row_rstd = rstd[place.row];
    float values[kWidth], gradient[kWidth];
    unpack<kWidth>(of_x, x.type, values);
    unpack<kWidth>(of_dy, dy.type, gradient);  // 0 past the end
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      sums[0][i] += gradient[i] * ((values[i] - row_mean) * row_rstd);
      if constexpr (kSums == 2) sums[1][i] += gradient[i];
    }
  }
};
template <int kWidth>
using LayerNormParameters = ParameterGradientOf<kWidth, 2>;
template <int kWidth>
using RmsNormParameters = ParameterGradientOf<kWidth, 1>;

}  // namespace

void run(const LayerNormForward& op, Queue& queue) {
  check_shapes(op);
  issue_rows<Forward>(queue, op.x.rows, chunks_of(1, op.x.cols, {op.x, op.y}, {op.gamma, op.beta}),
                      Input(op.x), Input(op.gamma), Input(op.beta), Output(op.y), op.mean.data(),
                      op.rstd.data(), op.epsilon);
}

void run(const RmsNormForward& op, Queue& queue) {
  check_shapes(op);
  float* no_mean = nullptr;
  issue_rows<Forward>(queue, op.x.rows, chunks_of(1, op.x.cols, {op.x, op.y}, {op.gamma}),
                      Input(op.x), Input(op.gamma), Input(), Output(op.y), no_mean, op.rstd.data(),
                      op.epsilon);
}

void run(const LayerNormBackward& op, Queue& queue) {
  check_shapes(op);
  // Before dx, which may overwrite dy.
  if (!op.dgamma.empty())
    add_column_sums<LayerNormParameters>(queue, op.x.rows, chunks_of(1, op.x.cols, {op.x, op.dy}),
                                         {op.dgamma, op.dbeta}, Input(op.x), Input(op.dy),
                                         op.mean.data(), op.rstd.data());
  issue_rows<InputGradient>(
      queue, op.x.rows, chunks_of(1, op.x.cols, {op.x, op.dy, op.dx}, {op.gamma}), Input(op.x),
      Input(op.gamma), Input(op.dy), op.mean.data(), op.rstd.data(), Output(op.dx));
}

void run(const RmsNormBackward& op, Queue& queue) {
  check_shapes(op);
  const float* no_mean = nullptr;
  if (!op.dgamma.empty())
    add_column_sums<RmsNormParameters>(queue, op.x.rows, chunks_of(1, op.x.cols, {op.x, op.dy}),
                                       {op.dgamma}, Input(op.x), Input(op.dy), no_mean,
                                       op.rstd.data());
  issue_rows<InputGradient>(queue, op.x.rows,
                            chunks_of(1, op.x.cols, {op.x, op.dy, op.dx}, {op.gamma}), Input(op.x),
                            Input(op.gamma), Input(op.dy), no_mean, op.rstd.data(), Output(op.dx));
}

}  // namespace meshplan::kernels::cuda
