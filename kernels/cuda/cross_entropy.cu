#include "kernels/cross_entropy.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/cuda/math.h"
#include "kernels/cuda/row.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

template <int kWidth>
struct RowMaximum {
  RowShape shape;
  Input logits;
  float* row_max;

  struct State {
    Words words[kKeptChunks];
    float max;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::uint32_t rounds = shape.rounds<G>();
    for (std::int64_t row = group.index(); row < shape.rows; row += group.count()) {
      typename G::template PerLane<State> state;
      // Lanes without elements take part with the first of the row.
      const float first = load_element(logits, row * logits.row_stride);
      group.each(state, [&](int lane, State& s) {
        s.max = first;
        for (std::uint32_t round = 0; round < rounds; ++round) {
          shape.load_round<kWidth, G>(logits, row, round, lane, s.words);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const int end = shape.place<kWidth, G>(row, round, j, lane).end;
            float values[kWidth];
            unpack<kWidth>(s.words[j], logits.type, values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i)
              if (i < end && values[i] > s.max) s.max = values[i];
          }
        }
      });
      const float max = group.reduce(
          state, [](const State& s) { return s.max; },
          [](float a, float b) { return a > b ? a : b; });
      group.each([&](int lane) {
        if (lane == 0) row_max[row] = max;
      });
    }
  }
};

template <int kWidth>
struct RowSum {
  RowShape shape;
  Input logits;
  const std::int32_t* targets;
  std::int64_t first_class;
  const float* row_max;
  float* sum_exp;
  float* target_logit;

  struct State {
    Words words[kKeptChunks];
    float sum;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::uint32_t rounds = shape.rounds<G>();
    for (std::int64_t row = group.index(); row < shape.rows; row += group.count()) {
      typename G::template PerLane<State> state;
      const float max = row_max[row];
      group.each(state, [&](int lane, State& s) {
        s.sum = 0;
        for (std::uint32_t round = 0; round < rounds; ++round) {
          shape.load_round<kWidth, G>(logits, row, round, lane, s.words);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const int end = shape.place<kWidth, G>(row, round, j, lane).end;
            float values[kWidth];
            unpack<kWidth>(s.words[j], logits.type, values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i)
              if (i < end) s.sum += exponential(values[i] - max);
          }
        }
      });
      const float total = sum(group, state, [](const State& s) { return s.sum; });
      group.each([&](int lane) {
        if (lane != 0) return;
        const std::int64_t target = targets[row] - first_class;
        sum_exp[row] = total;
        target_logit[row] = target >= 0 && target < shape.cols
                                ? load_element(logits, row * logits.row_stride + target) - max
                                : 0.0F;
      });
    }
  }
};

struct RowLoss {
  std::int64_t rows;
  const std::int32_t* targets;
  const float* sum_exp;
  const float* target_logit;
  float* loss;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    group.each([&](int lane) {
      for (std::int64_t row = std::int64_t{group.index()} * G::lanes + lane; row < rows;
           row += std::int64_t{group.count()} * G::lanes)
        loss[row] = targets[row] < 0 ? 0.0F : logarithm(sum_exp[row]) - target_logit[row];
    });
  }
};

template <int kWidth>
struct LogitGradient {
  Input logits;
  Output dlogits;
  const std::int32_t* targets;
  std::int64_t first_class;
  const float* row_max;
  const float* sum_exp;
  float gradient_scale;

  MESHPLAN_DEVICE Words load(const Place& place, bool aligned) const {
    return cuda::load<kWidth>(logits, place, aligned);
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Words& loaded) const {
    float values[kWidth];
    unpack<kWidth>(loaded, logits.type, values);
    const bool ignored = targets[place.row] < 0;
    const std::int64_t target = targets[place.row] - first_class - place.column;
    const float max = row_max[place.row];
    const float factor = gradient_scale / sum_exp[place.row];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float gradient =
          exponential(values[i] - max) * factor - (target == i ? gradient_scale : 0.0F);
      values[i] = ignored ? 0.0F : gradient;
    }
    store<kWidth>(dlogits, place, aligned, values);
  }
};

}  // namespace

void run(const CrossEntropyMax& op, Queue& queue) {
  check_shapes(op);
  issue_rows<RowMaximum>(queue, op.logits.rows, chunks_of(1, op.logits.cols, {op.logits}),
                         Input(op.logits), op.row_max.data());
}

void run(const CrossEntropySum& op, Queue& queue) {
  check_shapes(op);
  issue_rows<RowSum>(queue, op.logits.rows, chunks_of(1, op.logits.cols, {op.logits}),
                     Input(op.logits), op.targets.data(), op.first_class, op.row_max.data(),
                     op.sum_exp.data(), op.target_logit.data());
}

void run(const CrossEntropyLoss& op, Queue& queue) {
  check_shapes(op);
  issue<kMapLanes>(queue, ceiling_of_quotient(op.logits.rows, kMapLanes),
                   RowLoss{op.logits.rows, op.targets.data(), op.sum_exp.data(),
                           op.target_logit.data(), op.loss.data()});
  if (op.dlogits.empty()) return;
  map<LogitGradient>(queue, chunks_of(op.logits.rows, op.logits.cols, {op.logits, op.dlogits}),
                     Input(op.logits), Output(op.dlogits), op.targets.data(), op.first_class,
                     op.row_max.data(), op.sum_exp.data(), op.gradient_scale);
}

}  // namespace meshplan::kernels::cuda
