#include "kernels/cuda/check.h"

#include <string>

namespace meshplan::kernels::cuda {
namespace {

/// Paths as compilers are given them, from the root of the sources on.
std::string_view below_root(std::string_view path) {
  const std::size_t start = path.rfind("kernels/cuda/");
  return start == std::string_view::npos ? path : path.substr(start);
}

}  // namespace

void fail(std::string_view call, std::string_view reason, CallSite where) {
  throw Error(std::string(below_root(where.file)) + ":" + std::to_string(where.line) + ": " +
              std::string(call) + ": " + std::string(reason));
}

void check(cudaError_t status, std::string_view call, CallSite where) {
  if (status != cudaSuccess) fail(call, cudaGetErrorString(status), where);
}

void check(cublasStatus_t status, std::string_view call, CallSite where) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(call, cublasLtGetStatusString(status), where);
}

}  // namespace meshplan::kernels::cuda
