#pragma once
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <source_location>
#include <string_view>

#include "kernels/cuda/queue.h"

namespace meshplan::kernels::cuda {

/// Throws Error, "kernels/cuda/queue.cpp:17: cudaMalloc: out of memory", if a call failed.
void check(cudaError_t status, std::string_view call,
           std::source_location where = std::source_location::current());
void check(cublasStatus_t status, std::string_view call,
           std::source_location where = std::source_location::current());

/// Throws Error with the place of the caller.
[[noreturn]] void fail(std::string_view call, std::string_view reason,
                       std::source_location where = std::source_location::current());

}  // namespace meshplan::kernels::cuda
