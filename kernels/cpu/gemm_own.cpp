#include <algorithm>

#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {
namespace {

// c is made in tiles of 4 rows and 64 columns, which stay in registers while k runs over a block
// whose part of b stays in cache.
constexpr std::int64_t kRows = 4, kCols = 64, kDepth = 256;

struct Multiply {
  MESHPLAN_INLINE static void run(std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                                  FloatMatrix a, FloatMatrix b, float beta, float* c,
                                  std::int64_t c_stride, float* panel) {
    for (std::int64_t r = 0; r < m; ++r) {
      float* row = c + r * c_stride;
      for (std::int64_t j = 0; j < n; ++j) row[j] = beta == 0.0F ? 0.0F : beta * row[j];
    }
    const std::int64_t a_row = a.transpose ? 1 : a.stride, a_depth = a.transpose ? a.stride : 1;
    for (std::int64_t k0 = 0; k0 < k; k0 += kDepth) {
      const std::int64_t depth = std::min(kDepth, k - k0);
      for (std::int64_t j0 = 0; j0 < n; j0 += kCols) {
        const std::int64_t width = std::min(kCols, n - j0);
        pack(b, k0, j0, depth, width, panel);
        for (std::int64_t r0 = 0; r0 < m; r0 += kRows)
          tile(std::min(kRows, m - r0), width, depth, alpha, a.data + r0 * a_row + k0 * a_depth,
               a_row, a_depth, panel, c + r0 * c_stride + j0, c_stride);
      }
    }
  }

  /// panel[depth, kCols] = op(b)[k0.., j0..], zeros beyond `width`.
  MESHPLAN_INLINE static void pack(FloatMatrix b, std::int64_t k0, std::int64_t j0,
                                   std::int64_t depth, std::int64_t width, float* panel) {
    const std::int64_t b_depth = b.transpose ? 1 : b.stride, b_col = b.transpose ? b.stride : 1;
    for (std::int64_t p = 0; p < depth; ++p)
      for (std::int64_t j = 0; j < kCols; ++j)
        panel[p * kCols + j] = j < width ? b.data[(k0 + p) * b_depth + (j0 + j) * b_col] : 0.0F;
  }

  MESHPLAN_INLINE static void tile(std::int64_t rows, std::int64_t width, std::int64_t depth,
                                   float alpha, const float* a, std::int64_t a_row,
                                   std::int64_t a_depth, const float* panel, float* c,
                                   std::int64_t c_stride) {
    alignas(64) float sum[kRows][kCols] = {};
    for (std::int64_t p = 0; p < depth; ++p) {
      const float* b = panel + p * kCols;
      for (std::int64_t i = 0; i < kRows; ++i) {
        const float factor = a[std::min(i, rows - 1) * a_row + p * a_depth];
#pragma omp simd
        for (std::int64_t j = 0; j < kCols; ++j) sum[i][j] += factor * b[j];
      }
    }
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < width; ++j) c[i * c_stride + j] += alpha * sum[i][j];
  }
};

}  // namespace

struct GemmCache {};

std::string_view gemm_library() { return "own"; }

void sgemm(Queue& queue, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, FloatMatrix a,
           FloatMatrix b, float beta, float* c, std::int64_t c_stride) {
  if (m == 0 || n == 0) return;
  vectorised<Multiply>(queue.state().instruction_set, m, n, k, alpha, a, b, beta, c, c_stride,
                       queue.state().scratch[15].floats(kDepth * kCols));
}

bool bf16_gemm(const Gemm&, Queue&) { return false; }

}  // namespace meshplan::kernels::cpu
