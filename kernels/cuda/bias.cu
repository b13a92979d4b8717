#include "kernels/bias.h"
#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/gemm_problem.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

template <int kWidth>
struct AddBias {
  Input x, bias;
  Output y;

  MESHPLAN_DEVICE Words load(const Place& place, bool aligned) const {
    return cuda::load<kWidth>(x, place, aligned);
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Words& loaded) const {
    float values[kWidth], of_columns[kWidth];
    unpack<kWidth>(loaded, x.type, values);
    load_parameter<kWidth>(bias, {0, place.column, place.begin, place.end}, aligned, of_columns);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] += of_columns[i];
    store<kWidth>(y, place, aligned, values);
  }
};

template <int kWidth>
struct Column {
  Input dy;

  static constexpr int kSums = 1;
  MESHPLAN_DEVICE void add(const Place& place, bool aligned, float (&sums)[1][kWidth]) const {
    float values[kWidth];
    load_floats<kWidth>(dy, place, aligned, values);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sums[0][i] += values[i];
  }
};

}  // namespace

void add_bias(const ConstTensorView& x, const ConstTensorView& bias, const TensorView& y,
              Queue& queue) {
  map<AddBias>(queue, chunks_of(x.rows, x.cols, {x, y}, {bias}), Input(x), Input(bias), Output(y));
}

void run(const BiasForward& op, Queue& queue) {
  check_shapes(op);
  add_bias(op.x, op.bias, op.y, queue);
}

void run(const BiasBackward& op, Queue& queue) {
  check_shapes(op);
  add_column_sums<Column>(queue, op.dy.rows, chunks_of(1, op.dy.cols, {op.dy}), {op.dbias},
                          Input(op.dy));
}

}  // namespace meshplan::kernels::cuda
