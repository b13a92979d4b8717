#include "kernels/activation.h"
#include "kernels/cuda/activation_element.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

template <int kWidth>
struct Forward {
  Activation kind;
  Input x;
  Output y;

  MESHPLAN_DEVICE Words load(const Place& place, bool aligned) const {
    return cuda::load<kWidth>(x, place, aligned);
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Words& loaded) const {
    float values[kWidth];
    unpack<kWidth>(loaded, x.type, values);
    with_kind(kind, [&](auto f) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) values[i] = activation<decltype(f)::value>(values[i]).value;
    });
    store<kWidth>(y, place, aligned, values);
  }
};

template <int kWidth>
struct Backward {
  Activation kind;
  Input x, dy;
  Output dx;

  struct Loaded {
    Words x, dy;
  };
  MESHPLAN_DEVICE Loaded load(const Place& place, bool aligned) const {
    return {cuda::load<kWidth>(x, place, aligned), cuda::load<kWidth>(dy, place, aligned)};
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Loaded& loaded) const {
    float values[kWidth], gradient[kWidth];
    unpack<kWidth>(loaded.x, x.type, values);
    unpack<kWidth>(loaded.dy, dy.type, gradient);
    with_kind(kind, [&](auto f) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        gradient[i] *= activation<decltype(f)::value>(values[i]).slope;
    });
    store<kWidth>(dx, place, aligned, gradient);
  }
};

template <int kWidth>
struct GatedForward {
  Activation kind;
  Input gate, up;
  Output y;

  struct Loaded {
    Words gate, up;
  };
  MESHPLAN_DEVICE Loaded load(const Place& place, bool aligned) const {
    return {cuda::load<kWidth>(gate, place, aligned), cuda::load<kWidth>(up, place, aligned)};
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Loaded& loaded) const {
    float values[kWidth], factor[kWidth];
    unpack<kWidth>(loaded.gate, gate.type, values);
    unpack<kWidth>(loaded.up, up.type, factor);
    with_kind(kind, [&](auto f) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        values[i] = activation<decltype(f)::value>(values[i]).value * factor[i];
    });
    store<kWidth>(y, place, aligned, values);
  }
};

template <int kWidth>
struct GatedBackward {
  Activation kind;
  Input gate, up, dy;
  Output dgate, dup;

  struct Loaded {
    Words gate, up, dy;
  };
  MESHPLAN_DEVICE Loaded load(const Place& place, bool aligned) const {
    return {cuda::load<kWidth>(gate, place, aligned), cuda::load<kWidth>(up, place, aligned),
            cuda::load<kWidth>(dy, place, aligned)};
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Loaded& loaded) const {
    float values[kWidth], factor[kWidth], gradient[kWidth];
    unpack<kWidth>(loaded.gate, gate.type, values);
    unpack<kWidth>(loaded.up, up.type, factor);
    unpack<kWidth>(loaded.dy, dy.type, gradient);
    with_kind(kind, [&](auto f) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const ValueAndSlope at_gate = activation<decltype(f)::value>(values[i]);
        values[i] = gradient[i] * factor[i] * at_gate.slope;
        factor[i] = gradient[i] * at_gate.value;
      }
    });
    store<kWidth>(dgate, place, aligned, values);
    store<kWidth>(dup, place, aligned, factor);
  }
};

}  // namespace

void run(const ActivationForward& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && all_contiguous(op.x, op.y))
    return run(ActivationForward{op.kind, one_row(op.x), one_row(op.y)}, queue);
  map<Forward>(queue, chunks_of(op.x.rows, op.x.cols, {op.x, op.y}), op.kind, Input(op.x),
               Output(op.y));
}

void run(const ActivationBackward& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && all_contiguous(op.x, op.dy, op.dx))
    return run(ActivationBackward{op.kind, one_row(op.x), one_row(op.dy), one_row(op.dx)}, queue);
  map<Backward>(queue, chunks_of(op.x.rows, op.x.cols, {op.x, op.dy, op.dx}), op.kind, Input(op.x),
                Input(op.dy), Output(op.dx));
}

void run(const GatedActivationForward& op, Queue& queue) {
  check_shapes(op);
  map<GatedForward>(queue, chunks_of(op.y.rows, op.y.cols, {op.gate, op.up, op.y}), op.kind,
                    Input(op.gate), Input(op.up), Output(op.y));
}

void run(const GatedActivationBackward& op, Queue& queue) {
  check_shapes(op);
  map<GatedBackward>(
      queue, chunks_of(op.dy.rows, op.dy.cols, {op.gate, op.up, op.dy, op.dgate, op.dup}), op.kind,
      Input(op.gate), Input(op.up), Input(op.dy), Output(op.dgate), Output(op.dup));
}

}  // namespace meshplan::kernels::cuda
