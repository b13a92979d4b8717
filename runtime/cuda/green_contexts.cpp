#include "runtime/cuda/green_contexts.h"

#include <cudaTypedefs.h>

#include <string>

#include "runtime/cuda/check.h"
#include "runtime/cuda/partition.h"

namespace meshplan::runtime::cuda {
namespace {

/// The driver's function `name` as of version `version` (1000 major + 10 minor).
template <typename Function>
Function entry_point(const char* name, unsigned version) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  check(cudaGetDriverEntryPointByVersion(name, &function, version, cudaEnableDefault, &found),
        "cudaGetDriverEntryPointByVersion");
  if (found != cudaDriverEntryPointSuccess || function == nullptr) {
    throw Error(std::string("this driver has no ") + name +
                ": --mode partitioned needs green contexts (CUDA 12.5)");
  }
  return reinterpret_cast<Function>(function);
}

struct Driver {
  PFN_cuDeviceGetDevResource_v12040 device_resource =
      entry_point<PFN_cuDeviceGetDevResource_v12040>("cuDeviceGetDevResource", 12040);
  PFN_cuDevSmResourceSplitByCount_v12040 split =
      entry_point<PFN_cuDevSmResourceSplitByCount_v12040>("cuDevSmResourceSplitByCount", 12040);
  PFN_cuDevResourceGenerateDesc_v12040 describe =
      entry_point<PFN_cuDevResourceGenerateDesc_v12040>("cuDevResourceGenerateDesc", 12040);
  PFN_cuGreenCtxCreate_v12040 create =
      entry_point<PFN_cuGreenCtxCreate_v12040>("cuGreenCtxCreate", 12040);
  PFN_cuGreenCtxDestroy_v12040 destroy =
      entry_point<PFN_cuGreenCtxDestroy_v12040>("cuGreenCtxDestroy", 12040);
  PFN_cuGreenCtxStreamCreate_v12050 stream =
      entry_point<PFN_cuGreenCtxStreamCreate_v12050>("cuGreenCtxStreamCreate", 12050);
};

const Driver& driver() {
  static const Driver found;
  return found;
}

}  // namespace

GreenContexts::GreenContexts(int ordinal, int parts) {
  check(cudaSetDevice(ordinal), "cudaSetDevice");
  check(cudaFree(nullptr), "cudaFree");  // the primary context, which green ones belong to
  CUdevResource whole{};
  check(driver().device_resource(ordinal, &whole, CU_DEV_RESOURCE_TYPE_SM),
        "cuDeviceGetDevResource");
  const int size = partition_size(static_cast<int>(whole.sm.smCount), parts);
  if (size == 0) {
    throw Error(std::to_string(whole.sm.smCount) + " multiprocessors cannot be cut in " +
                std::to_string(parts) + " parts");
  }
  std::vector<CUdevResource> resources(static_cast<std::size_t>(parts));
  auto count = static_cast<unsigned>(parts);
  CUdevResource rest{};
  check(driver().split(resources.data(), &count, &whole, &rest, 0, static_cast<unsigned>(size)),
        "cuDevSmResourceSplitByCount");
  if (count < static_cast<unsigned>(parts)) {
    throw Error("the driver cuts this device in no more than " + std::to_string(count) + " parts");
  }
  for (CUdevResource& resource : resources) {
    CUdevResourceDesc description = nullptr;
    check(driver().describe(&description, &resource, 1), "cuDevResourceGenerateDesc");
    CUgreenCtx context = nullptr;
    check(driver().create(&context, description, ordinal, CU_GREEN_CTX_DEFAULT_STREAM),
          "cuGreenCtxCreate");
    contexts_.emplace_back(context);
    multiprocessors_.push_back(static_cast<int>(resource.sm.smCount));
  }
}

void GreenContexts::Destroy::operator()(CUgreenCtx context) const { driver().destroy(context); }

cudaStream_t GreenContexts::stream(int part, int priority) {
  CUstream stream = nullptr;
  check(driver().stream(&stream, contexts_.at(part).get(), CU_STREAM_NON_BLOCKING, priority),
        "cuGreenCtxStreamCreate");
  streams_.emplace_back(stream);
  return stream;
}

}  // namespace meshplan::runtime::cuda
