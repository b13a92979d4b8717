#include "kernels/activation.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

/// f(x) and f'(x).
struct ValueAndSlope {
  float value = 0;
  float slope = 0;
};

template <Activation kKind>
MESHPLAN_INLINE ValueAndSlope evaluate(float x) {
  if constexpr (kKind == Activation::Relu) {
    return {x > 0 ? x : 0.0F, x > 0 ? 1.0F : 0.0F};
  } else if constexpr (kKind == Activation::SquaredRelu) {
    const float positive = x > 0 ? x : 0.0F;
    return {positive * positive, 2 * positive};
  } else if constexpr (kKind == Activation::Gelu) {
    const Normal z = normal(x);
    return {x * z.probability, z.probability + x * z.density};
  } else if constexpr (kKind == Activation::GeluTanh) {
    // (1 + tanh(u)) / 2 = sigmoid(2 u), which does not cancel where it is small.
    constexpr float kRoot = 0.797884561F, kCubic = 0.044715F;
    const float square = x * x;
    const float s = sigmoid(2 * kRoot * x * (1 + kCubic * square));
    return {x * s, s + x * s * (1 - s) * 2 * kRoot * (1 + 3 * kCubic * square)};
  } else {
    const float s = sigmoid(x);
    return {x * s, s * (1 + x * (1 - s))};
  }
}

/// f and f' of one or two columns.
template <Activation kKind, class Value>
MESHPLAN_INLINE Value values(Value x) {
  return mapped(
      [](float v) __attribute__((always_inline)) { return evaluate<kKind>(v).value; }, x);
}
template <Activation kKind, class Value>
MESHPLAN_INLINE Value slopes(Value x) {
  return mapped(
      [](float v) __attribute__((always_inline)) { return evaluate<kKind>(v).slope; }, x);
}

template <Activation kKind>
struct Forward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<T> y) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      T* out = y.row(r);
      for_each_column<T>(
          0, x.cols, [&](auto at) __attribute__((always_inline)) {
            at.store(out, values<kKind>(at.load(in)));
          });
    }
  }
};

template <Activation kKind>
struct Backward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<const T> dy, Matrix<T> dx) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      const T* gradient = dy.row(r);
      T* out = dx.row(r);
      for_each_column<T>(
          0, x.cols, [&](auto at) __attribute__((always_inline)) {
            at.store(out, at.load(gradient) * slopes<kKind>(at.load(in)));
          });
    }
  }
};

template <Activation kKind>
struct GatedForward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> gate, Matrix<const T> up, Matrix<T> y) {
    for (std::int64_t r = 0; r < gate.rows; ++r) {
      const T* g = gate.row(r);
      const T* u = up.row(r);
      T* out = y.row(r);
      for_each_column<T>(
          0, gate.cols, [&](auto at) __attribute__((always_inline)) {
            at.store(out, values<kKind>(at.load(g)) * at.load(u));
          });
    }
  }
};

template <Activation kKind>
struct GatedBackward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> gate, Matrix<const T> up, Matrix<const T> dy,
                                  Matrix<T> dgate, Matrix<T> dup) {
    for (std::int64_t r = 0; r < gate.rows; ++r) {
      const T* g = gate.row(r);
      const T* u = up.row(r);
      const T* gradient = dy.row(r);
      T* gate_out = dgate.row(r);
      T* up_out = dup.row(r);
      for_each_column_ahead<T>(
          gate.cols,
          [&](auto at) __attribute__((always_inline)) {
            const auto x = at.load(g), d = at.load(gradient), factor = at.load(u);
            at.store(gate_out, d * factor * slopes<kKind>(x));
            at.store(up_out, d * values<kKind>(x));
          },
          g, u, gradient);
    }
  }
};

template <template <Activation> class Body, class... Arguments>
void run_kind(Activation kind, Queue& queue, Arguments... arguments) {
  const InstructionSet set = queue.state().instruction_set;
  switch (kind) {
    case Activation::Relu:
      return vectorised<Body<Activation::Relu>>(set, arguments...);
    case Activation::SquaredRelu:
      return vectorised<Body<Activation::SquaredRelu>>(set, arguments...);
    case Activation::Gelu:
      return vectorised<Body<Activation::Gelu>>(set, arguments...);
    case Activation::GeluTanh:
      return vectorised<Body<Activation::GeluTanh>>(set, arguments...);
    case Activation::Silu:
      return vectorised<Body<Activation::Silu>>(set, arguments...);
  }
}

}  // namespace

void run(const ActivationForward& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && op.x.contiguous() && op.y.contiguous())
    return run(ActivationForward{op.kind, one_row(op.x), one_row(op.y)}, queue);
  with_type(op.x.type, [&]<class T>(T) {
    run_kind<Forward>(op.kind, queue, matrix<T>(op.x), matrix<T>(op.y));
  });
}

void run(const ActivationBackward& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && op.x.contiguous() && op.dy.contiguous() && op.dx.contiguous())
    return run(ActivationBackward{op.kind, one_row(op.x), one_row(op.dy), one_row(op.dx)}, queue);
  with_type(op.x.type, [&]<class T>(T) {
    run_kind<Backward>(op.kind, queue, matrix<T>(op.x), matrix<T>(op.dy), matrix<T>(op.dx));
  });
}

void run(const GatedActivationForward& op, Queue& queue) {
  check_shapes(op);
  with_type(op.y.type, [&]<class T>(T) {
    run_kind<GatedForward>(op.kind, queue, matrix<T>(op.gate), matrix<T>(op.up), matrix<T>(op.y));
  });
}

void run(const GatedActivationBackward& op, Queue& queue) {
  check_shapes(op);
  with_type(op.dy.type, [&]<class T>(T) {
    run_kind<GatedBackward>(op.kind, queue, matrix<T>(op.gate), matrix<T>(op.up), matrix<T>(op.dy),
                            matrix<T>(op.dgate), matrix<T>(op.dup));
  });
}

}  // namespace meshplan::kernels::cpu
