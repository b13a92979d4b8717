#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/elementwise.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

template <int kWidth>
struct AddResidual {
  Input x, residual;
  Output y;

  struct Loaded {
    Words x, residual;
  };
  MESHPLAN_DEVICE Loaded load(const Place& place, bool aligned) const {
    return {cuda::load<kWidth>(x, place, aligned), cuda::load<kWidth>(residual, place, aligned)};
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Loaded& loaded) const {
    float sum[kWidth], other[kWidth];
    unpack<kWidth>(loaded.x, x.type, sum);
    unpack<kWidth>(loaded.residual, residual.type, other);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sum[i] += other[i];
    store<kWidth>(y, place, aligned, sum);
  }
};

template <int kWidth>
struct ScaleAndConvert {
  Input x;
  Output y;
  float factor;

  MESHPLAN_DEVICE Words load(const Place& place, bool aligned) const {
    return cuda::load<kWidth>(x, place, aligned);
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Words& loaded) const {
    float values[kWidth];
    unpack<kWidth>(loaded, x.type, values);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] *= factor;
    store<kWidth>(y, place, aligned, values);
  }
};

template <int kWidth>
struct StoreValue {
  Output y;
  float value;

  struct Nothing {};
  MESHPLAN_DEVICE Nothing load(const Place&, bool) const { return {}; }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Nothing&) const {
    float values[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] = value;
    store<kWidth>(y, place, aligned, values);
  }
};

}  // namespace

void run(const ResidualAdd& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && all_contiguous(op.x, op.residual, op.y))
    return run(ResidualAdd{one_row(op.x), one_row(op.residual), one_row(op.y)}, queue);
  map<AddResidual>(queue, chunks_of(op.x.rows, op.x.cols, {op.x, op.residual, op.y}), Input(op.x),
                   Input(op.residual), Output(op.y));
}

void run(const Copy& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && all_contiguous(op.x, op.y))
    return run(Copy{one_row(op.x), one_row(op.y), op.factor}, queue);
  map<ScaleAndConvert>(queue, chunks_of(op.x.rows, op.x.cols, {op.x, op.y}), Input(op.x),
                       Output(op.y), op.factor);
}

void run(const Fill& op, Queue& queue) {
  check_shapes(op);
  if (op.y.rows > 1 && all_contiguous(op.y)) return run(Fill{one_row(op.y), op.value}, queue);
  map<StoreValue>(queue, chunks_of(op.y.rows, op.y.cols, {op.y}), Output(op.y), op.value);
}

}  // namespace meshplan::kernels::cuda
