#include "kernels/cross_entropy.h"

#include <cmath>

#include "kernels/cpu/math.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct MaxOfRows {
  MESHPLAN_INLINE static float largest(const float* in, std::int64_t cols) {
    float max = in[0];
#pragma omp simd reduction(max : max)
    for (std::int64_t c = 0; c < cols; ++c) max = in[c] > max ? in[c] : max;
    return max;
  }
  MESHPLAN_INLINE static float largest(const Bf16* in, std::int64_t cols) {
    float max = load(in[cols - 1]);
#pragma omp simd reduction(max : max)
    for (std::int64_t i = 0; i < cols / 2; ++i) {
      const Two logits = TwoColumns{2 * i}.load(in);
      const float larger = logits.even > logits.odd ? logits.even : logits.odd;
      max = larger > max ? larger : max;
    }
    return max;
  }

  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> logits, float* row_max) {
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      const T* in = logits.row(r);
      row_max[r] = largest(in, logits.cols);
    }
  }
};

/// e^x of each column.
template <class Value>
MESHPLAN_INLINE Value decays(Value x) {
  return mapped(
      [](float v) __attribute__((always_inline)) { return decay(v); }, x);
}

struct SumOfRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> logits, const float* row_max, float* sum_exp) {
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      const T* in = logits.row(r);
      const float max = row_max[r];
      // Parts of a row in fp32, their sum in double: a vocabulary is too long for one fp32 sum.
      constexpr std::int64_t kPart = 1024;
      double total = 0;
      for (std::int64_t first = 0; first < logits.cols; first += kPart) {
        const std::int64_t last = first + kPart < logits.cols ? first + kPart : logits.cols;
        ColumnSums sum;
        sum_columns<T>(
            first, last, [&](auto at, std::int64_t i) __attribute__((always_inline)) {
              add_to(sum, i, decays(at.load(in) - max));
            });
        total += static_cast<double>(sum.total());
      }
      sum_exp[r] = static_cast<float>(total);
    }
  }
};

struct GradientRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> logits, Matrix<T> dlogits,
                                  const std::int32_t* targets, std::int64_t first_class,
                                  const float* row_max, const float* sum_exp, float scale) {
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      const T* in = logits.row(r);
      T* out = dlogits.row(r);
      const float max = row_max[r];
      const float factor = targets[r] < 0 ? 0.0F : scale / sum_exp[r];
      const std::int64_t target = targets[r] < 0 ? -1 : targets[r] - first_class;
      const bool held = target >= 0 && target < logits.cols;
      // Before the loop, which may overwrite the logits.
      const float at_target = held ? factor * decay(load(in[target]) - max) - scale : 0.0F;
      for_each_column_ahead<T>(
          logits.cols,
          [&](auto at)
              __attribute__((always_inline)) { at.store(out, factor * decays(at.load(in) - max)); },
          in);
      if (held) out[target] = rounded<T>(at_target);
    }
  }
};

}  // namespace

void run(const CrossEntropyMax& op, Queue& queue) {
  check_shapes(op);
  with_type(op.logits.type, [&]<class T>(T) {
    vectorised<MaxOfRows>(queue.state().instruction_set, matrix<T>(op.logits), op.row_max.data());
  });
}

void run(const CrossEntropySum& op, Queue& queue) {
  check_shapes(op);
  with_type(op.logits.type, [&]<class T>(T) {
    const Matrix<const T> logits = matrix<T>(op.logits);
    vectorised<SumOfRows>(queue.state().instruction_set, logits, op.row_max.data(),
                          op.sum_exp.data());
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      const auto row = static_cast<std::size_t>(r);
      const std::int64_t target = op.targets[row] < 0 ? -1 : op.targets[row] - op.first_class;
      const bool held = target >= 0 && target < logits.cols;
      op.target_logit[row] = held ? load(logits.row(r)[target]) - op.row_max[row] : 0.0F;
    }
  });
}

void run(const CrossEntropyLoss& op, Queue& queue) {
  check_shapes(op);
  for (std::size_t r = 0; r < op.loss.size(); ++r)
    op.loss[r] = op.targets[r] < 0 ? 0.0F : std::log(op.sum_exp[r]) - op.target_logit[r];
  if (op.dlogits.empty()) return;
  with_type(op.logits.type, [&]<class T>(T) {
    vectorised<GradientRows>(queue.state().instruction_set, matrix<T>(op.logits),
                             matrix<T>(op.dlogits), op.targets.data(), op.first_class,
                             op.row_max.data(), op.sum_exp.data(), op.gradient_scale);
  });
}

}  // namespace meshplan::kernels::cpu
