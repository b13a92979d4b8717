#include "runtime/cuda/check.h"

#include <string>

namespace meshplan::runtime::cuda {
namespace {

/// Paths as compilers are given them, from the root of the sources on.
std::string below_root(std::string_view path) {
  const std::size_t start = path.rfind("runtime/cuda/");
  return std::string(start == std::string_view::npos ? path : path.substr(start));
}

[[noreturn]] void fail(std::string_view call, const std::string& reason,
                       const kernels::cuda::CallSite& where) {
  throw Error(below_root(where.file) + ":" + std::to_string(where.line) + ": " + std::string(call) +
              ": " + reason);
}

}  // namespace

void check(cudaError_t status, std::string_view call, kernels::cuda::CallSite where) {
  if (status != cudaSuccess) fail(call, cudaGetErrorString(status), where);
}

void check(CUresult status, std::string_view call, kernels::cuda::CallSite where) {
  if (status != CUDA_SUCCESS) {
    fail(call, "CUDA driver error " + std::to_string(static_cast<int>(status)), where);
  }
}

void check(ncclResult_t status, std::string_view call, ncclComm_t comm,
           kernels::cuda::CallSite where) {
  if (status == ncclSuccess || status == ncclInProgress) return;
  std::string reason = ncclGetErrorString(status);
  if (const char* more = ncclGetLastError(comm); more != nullptr && *more != '\0') {
    reason += std::string(" (") + more + ")";
  }
  fail(call, reason, where);
}

}  // namespace meshplan::runtime::cuda
