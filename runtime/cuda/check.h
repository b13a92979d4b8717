#pragma once
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <string_view>

#include "kernels/cuda/call_site.h"
#include "runtime/device/engine.h"

namespace meshplan::runtime::cuda {

/// A call of CUDA or NCCL that failed; what() names the place, the call and the reason.
class Error : public EngineFailure {
 public:
  using EngineFailure::EngineFailure;
};

/// Throws Error unless the call succeeded.
void check(cudaError_t status, std::string_view call,
           kernels::cuda::CallSite where = kernels::cuda::CallSite::current());
/// Of the driver, whose library is not linked: the number stands for the reason.
void check(CUresult status, std::string_view call,
           kernels::cuda::CallSite where = kernels::cuda::CallSite::current());
/// `comm`: whose last error adds words; may be null. ncclInProgress is a success here.
void check(ncclResult_t status, std::string_view call, ncclComm_t comm,
           kernels::cuda::CallSite where = kernels::cuda::CallSite::current());

}  // namespace meshplan::runtime::cuda
