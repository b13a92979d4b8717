#include "kernels/gemm.h"

#include "kernels/cuda/gemm_problem.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/queue_state.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {

void run(const Gemm& op, Queue& queue) {
  check_shapes(op);
  if (op.c.elements() == 0) return;
  const std::int64_t k = op.transpose_a ? op.a.rows : op.a.cols;
  if (k == 0) {
    if (!op.accumulate) run(Fill{op.c, 0.0F}, queue);
    if (!op.bias.empty()) add_bias(op.c, op.bias, op.c, queue);
    return;
  }
  BatchedGemm gemm{.a = op.a,
                   .b = op.b,
                   .c = op.c,
                   .transpose_a = op.transpose_a,
                   .transpose_b = op.transpose_b,
                   .beta = op.accumulate ? 1.0F : 0.0F};
  if (op.bias.empty()) return multiply(gemm, queue);
  gemm.bias = op.bias;
  if (op.bias.type == op.c.type && multiplies(gemm, queue)) return multiply(gemm, queue);
  // The epilogue takes a bias of the type of c, if it takes one. Another is added to the sums
  // before they are rounded: they wait in fp32.
  gemm.bias = {};
  Queue::State& state = queue.state();
  gemm.c =
      matrix_view(static_cast<float*>(state.scratch.reserve(4 * op.c.elements(), state.stream)),
                  op.c.rows, op.c.cols);
  multiply(gemm, queue);
  add_bias(gemm.c, op.bias, op.c, queue);
}

}  // namespace meshplan::kernels::cuda
