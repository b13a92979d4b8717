#include "kernels/bias.h"

#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct AddBias {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, const float* bias, Matrix<T> y) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      T* out = y.row(r);
      for_each_column<T>(
          0, x.cols, [&](auto at) __attribute__((always_inline)) {
            at.store(out, at.load(in) + at.load(bias));
          });
    }
  }
};

struct SumColumns {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> dy, float* dbias) {
    for_each_row_block<4>(
        dy.rows, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
          const T* top = dy.row(first);
          const std::int64_t stride = dy.stride;
          for_each_stretch(
              dy.cols, [&](std::int64_t begin, auto size) __attribute__((always_inline)) {
                prefetch_columns(dy, first + count, count, begin, size);
                for_each_column<T>(
                    begin, begin + size, [&](auto at) __attribute__((always_inline)) {
                      auto sum = at.load(top);
                      for (std::int64_t k = 1; k < count; ++k) sum += at.load(top + k * stride);
                      at.store(dbias, at.load(dbias) + sum);
                    });
              });
        });
  }
};

}  // namespace

void run(const BiasForward& op, Queue& queue) {
  check_shapes(op);
  const ConstTensorView bias = as_floats(op.bias, queue.state().scratch[0], queue);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<AddBias>(queue.state().instruction_set, matrix<T>(op.x), matrix<float>(bias).data,
                        matrix<T>(op.y));
  });
}

void run(const BiasBackward& op, Queue& queue) {
  check_shapes(op);
  with_type(op.dy.type, [&]<class T>(T) {
    vectorised<SumColumns>(queue.state().instruction_set, matrix<T>(op.dy),
                           matrix<float>(op.dbias).data);
  });
}

}  // namespace meshplan::kernels::cpu
