#include "kernels/cpu/gemm_few_rows.h"

#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/queue.h"
#include "kernels/cpu/row_dots.h"

namespace meshplan::kernels::cpu {
namespace {

struct DotRows {
  MESHPLAN_INLINE static void run(Matrix<const float> a, Matrix<const float> b, const float* bias,
                                  Matrix<float> c, bool accumulate) {
    for_each_row_block<4>(
        b.rows, [&](std::int64_t column, auto columns) __attribute__((always_inline)) {
          for_each_row_block<4>(
              a.rows, [&](std::int64_t row, auto rows) __attribute__((always_inline)) {
                float dots[decltype(rows)::value][decltype(columns)::value];
                dot_rows(a.row(row), a.stride, b.row(column), b.stride, b.cols, row == 0, dots);
                for (std::int64_t i = 0; i < rows; ++i) {
                  float* out = c.row(row + i) + column;
                  for (std::int64_t j = 0; j < columns; ++j) {
                    const float before = accumulate ? out[j] : (bias ? bias[column + j] : 0.0F);
                    out[j] = before + dots[i][j];
                  }
                }
              });
        });
  }
};

}  // namespace

bool has_few_rows(const Gemm& op) {
  // A table within the caches is not worth it, and with more rows packing pays. oneDNN's bf16
  // product packs while it converts, and takes no longer than this one.
  constexpr std::int64_t kMostRows = 32, kCachedBytes = std::int64_t{16} << 20;
  return op.transpose_b && !op.transpose_a && op.b.type == ElementType::F32 &&
         op.c.rows <= kMostRows && op.b.bytes() > kCachedBytes;
}

void run_few_rows(const Gemm& op, Queue& queue) {
  auto& scratch = queue.state().scratch;
  const ConstTensorView bias =
      op.bias.empty() ? ConstTensorView{} : as_floats(op.bias, scratch[3], queue);
  vectorised<DotRows>(queue.state().instruction_set, matrix<float>(op.a), matrix<float>(op.b),
                      matrix<float>(bias).data, matrix<float>(op.c), op.accumulate);
}

}  // namespace meshplan::kernels::cpu
