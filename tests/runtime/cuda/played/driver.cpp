// The driver's entry points: green contexts.
#include <cuda.h>
#include <cudaTypedefs.h>

#include <algorithm>
#include <map>
#include <string>

#include "machine.h"

using namespace meshplan::played;

struct CUgreenCtx_st {
  int device = 0;
};

namespace {

CUresult device_resource(CUdevice, CUdevResource* resource, CUdevResourceType type) {
  *resource = {};
  resource->type = type;
  resource->sm.smCount = static_cast<unsigned>(machine().multiprocessors);
  return CUDA_SUCCESS;
}
/// Compute capability 9.0: at least 8, multiples of 8.
CUresult split(CUdevResource* parts, unsigned* count, const CUdevResource* whole, CUdevResource*,
               unsigned, unsigned least) {
  const unsigned size = std::max(8U, (least + 7) / 8 * 8);
  *count = std::min(*count, whole->sm.smCount / size);
  for (unsigned i = 0; i < *count; ++i) {
    parts[i] = *whole;
    parts[i].sm.smCount = size;
  }
  return CUDA_SUCCESS;
}
CUresult describe(CUdevResourceDesc* description, CUdevResource*, unsigned) {
  static int some = 0;
  *description = reinterpret_cast<CUdevResourceDesc>(&some);
  return CUDA_SUCCESS;
}
CUresult create(CUgreenCtx* context, CUdevResourceDesc, CUdevice device, unsigned flags) {
  if (const int error = stored_failure("cuGreenCtxCreate")) return static_cast<CUresult>(error);
  if (flags != CU_GREEN_CTX_DEFAULT_STREAM) return CUDA_ERROR_INVALID_VALUE;
  *context = new CUgreenCtx_st{device};
  const std::lock_guard lock(state().mutex);
  ++state().green_contexts;
  return CUDA_SUCCESS;
}
CUresult destroy(CUgreenCtx context) {
  delete context;
  const std::lock_guard lock(state().mutex);
  --state().green_contexts;
  return CUDA_SUCCESS;
}
CUresult stream_of(CUstream* stream, CUgreenCtx context, unsigned flags, int) {
  if (flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  *stream = made_stream(context->device);
  return CUDA_SUCCESS;
}

}  // namespace

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  const std::map<std::string, void*> functions = {
      {"cuDeviceGetDevResource", reinterpret_cast<void*>(&device_resource)},
      {"cuDevSmResourceSplitByCount", reinterpret_cast<void*>(&split)},
      {"cuDevResourceGenerateDesc", reinterpret_cast<void*>(&describe)},
      {"cuGreenCtxCreate", reinterpret_cast<void*>(&create)},
      {"cuGreenCtxDestroy", reinterpret_cast<void*>(&destroy)},
      {"cuGreenCtxStreamCreate", reinterpret_cast<void*>(&stream_of)}};
  const auto known_one = functions.find(name);
  *function = known_one == functions.end() ? nullptr : known_one->second;
  *found = *function == nullptr ? cudaDriverEntryPointSymbolNotFound : cudaDriverEntryPointSuccess;
  return cudaSuccess;
}
