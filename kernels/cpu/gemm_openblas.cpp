#include <cblas.h>

#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/queue.h"

namespace meshplan::kernels::cpu {

struct GemmCache {};

std::string_view gemm_library() { return "OpenBLAS"; }

void sgemm(Queue&, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, FloatMatrix a,
           FloatMatrix b, float beta, float* c, std::int64_t c_stride) {
  // For the whole process: the ranks are the only parallelism.
  static const bool once = (openblas_set_num_threads(1), true);
  static_cast<void>(once);
  cblas_sgemm(CblasRowMajor, a.transpose ? CblasTrans : CblasNoTrans,
              b.transpose ? CblasTrans : CblasNoTrans, static_cast<blasint>(m),
              static_cast<blasint>(n), static_cast<blasint>(k), alpha, a.data,
              static_cast<blasint>(a.stride), b.data, static_cast<blasint>(b.stride), beta, c,
              static_cast<blasint>(c_stride));
}

bool bf16_gemm(const Gemm&, Queue&) { return false; }

}  // namespace meshplan::kernels::cpu
