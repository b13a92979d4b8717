#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/cpu/gemm_few_rows.h"
#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

FloatMatrix operand(const ConstTensorView& view, bool transpose) {
  return {static_cast<const float*>(view.data), std::max(view.row_stride, view.cols), transpose};
}

struct RepeatRow {
  MESHPLAN_INLINE static void run(const float* row, Matrix<float> y) {
    for (std::int64_t r = 0; r < y.rows; ++r) {
      float* out = y.row(r);
#pragma omp simd
      for (std::int64_t c = 0; c < y.cols; ++c) out[c] = row[c];
    }
  }
};

void run_f32(const Gemm& op, Queue& queue) {
  const std::int64_t k = op.transpose_a ? op.a.rows : op.a.cols;
  const Matrix<float> c = matrix<float>(op.c);
  float beta = op.accumulate ? 1.0F : 0.0F;
  if (!op.bias.empty()) {
    const ConstTensorView bias = as_floats(op.bias, queue.state().scratch[3], queue);
    vectorised<RepeatRow>(queue.state().instruction_set, matrix<float>(bias).data, c);
    beta = 1.0F;
  }
  if (k == 0) {
    if (beta == 0.0F) run(Fill{op.c}, queue);
    return;
  }
  sgemm(queue, c.rows, c.cols, k, 1.0F, operand(op.a, op.transpose_a),
        operand(op.b, op.transpose_b), beta, c.data, std::max(c.stride, c.cols));
}

}  // namespace

void run(const Gemm& op, Queue& queue) {
  check_shapes(op);
  if (op.c.elements() == 0) return;
  if (queue.state().instruction_set == InstructionSet::Avx512 && has_few_rows(op))
    return run_few_rows(op, queue);
  if (op.a.type == ElementType::F32) return run_f32(op, queue);
  if (op.a.elements() > 0 && bf16_gemm(op, queue)) return;
  // Without bf16 in the library: through fp32 copies.
  auto& scratch = queue.state().scratch;
  Gemm wide = op;
  wide.a = as_floats(op.a, scratch[0], queue);
  wide.b = as_floats(op.b, scratch[1], queue);
  if (op.c.type == ElementType::F32) return run_f32(wide, queue);
  wide.c = matrix_view(scratch[2].floats(op.c.elements()), op.c.rows, op.c.cols);
  if (op.accumulate) run(Copy{op.c, wide.c}, queue);
  run_f32(wide, queue);
  run(Copy{wide.c, op.c}, queue);
}

}  // namespace meshplan::kernels::cpu
