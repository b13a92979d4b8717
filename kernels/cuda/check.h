#pragma once
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <string_view>

#include "kernels/cuda/call_site.h"
#include "kernels/cuda/queue.h"

namespace meshplan::kernels::cuda {

/// Throws Error, "kernels/cuda/queue.cpp:17: cudaMalloc: out of memory", if a call failed.
void check(cudaError_t status, std::string_view call, CallSite where = CallSite::current());
void check(cublasStatus_t status, std::string_view call, CallSite where = CallSite::current());

/// Throws Error with the place of the caller.
[[noreturn]] void fail(std::string_view call, std::string_view reason,
                       CallSite where = CallSite::current());

}  // namespace meshplan::kernels::cuda
