#include "kernels/elementwise.h"

#include "kernels/cpu/columns.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct AddRows {
  template <class X, class R, class Y>
  MESHPLAN_INLINE static void run(Matrix<const X> x, Matrix<const R> residual, Matrix<Y> y) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const X* a = x.row(r);
      const R* b = residual.row(r);
      Y* out = y.row(r);
      for_each_column<Y>(
          0, x.cols, [&](auto at) __attribute__((always_inline)) {
            at.store(out, at.load(a) + at.load(b));
          });
    }
  }
};

struct ScaleRows {
  template <class X, class Y>
  MESHPLAN_INLINE static void run(Matrix<const X> x, Matrix<Y> y, float factor) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const X* in = x.row(r);
      Y* out = y.row(r);
      for_each_column<Y>(
          0, x.cols, [&](auto at) __attribute__((always_inline)) {
            at.store(out, factor * at.load(in));
          });
    }
  }
};

struct FillRows {
  template <class Y>
  MESHPLAN_INLINE static void run(Matrix<Y> y, float value) {
    for (std::int64_t r = 0; r < y.rows; ++r) {
      Y* out = y.row(r);
      for_each_column<Y>(
          0, y.cols, [&](auto at) __attribute__((always_inline)) { at.store(out, value); });
    }
  }
};

}  // namespace

void run(const ResidualAdd& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && op.x.contiguous() && op.residual.contiguous() && op.y.contiguous())
    return run(ResidualAdd{one_row(op.x), one_row(op.residual), one_row(op.y)}, queue);
  with_type(op.x.type, [&]<class X>(X) {
    with_type(op.residual.type, [&]<class R>(R) {
      with_type(op.y.type, [&]<class Y>(Y) {
        vectorised<AddRows>(queue.state().instruction_set, matrix<X>(op.x), matrix<R>(op.residual),
                            matrix<Y>(op.y));
      });
    });
  });
}

void run(const Copy& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && op.x.contiguous() && op.y.contiguous())
    return run(Copy{one_row(op.x), one_row(op.y), op.factor}, queue);
  with_type(op.x.type, [&]<class X>(X) {
    with_type(op.y.type, [&]<class Y>(Y) {
      vectorised<ScaleRows>(queue.state().instruction_set, matrix<X>(op.x), matrix<Y>(op.y),
                            op.factor);
    });
  });
}

void run(const Fill& op, Queue& queue) {
  check_shapes(op);
  if (op.y.rows > 1 && op.y.contiguous()) return run(Fill{one_row(op.y), op.value}, queue);
  with_type(op.y.type, [&]<class Y>(Y) {
    vectorised<FillRows>(queue.state().instruction_set, matrix<Y>(op.y), op.value);
  });
}

}  // namespace meshplan::kernels::cpu
