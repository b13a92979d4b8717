// What is called of cuBLASLt, and of the management library (whose functions management.cpp looks
// up by name; their signatures are in the NVML API reference).
#include <cublasLt.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "kernels/cuda/gemm_problem.h"
#include "played.h"
#include "tests/kernels/cuda/column_major.h"

using namespace meshplan::played;
using meshplan::kernels::ElementType;
using meshplan::kernels::cuda::ColumnMajor;
using meshplan::kernels::cuda::GemmProblem;

namespace {

/// Descriptors are what was said of them, by attribute.
struct Descriptor {
  ColumnMajor matrix;
  std::map<int, std::int64_t> attributes;

  [[nodiscard]] std::int64_t of(int attribute, std::int64_t otherwise = 0) const {
    const auto found = attributes.find(attribute);
    return found == attributes.end() ? otherwise : found->second;
  }
};

template <class Handle>
Descriptor& descriptor(Handle handle) {
  return *reinterpret_cast<Descriptor*>(handle);
}
template <class Handle>
cublasStatus_t made(Handle* handle, Descriptor from = {}) {
  *handle = reinterpret_cast<Handle>(new Descriptor(std::move(from)));
  return CUBLAS_STATUS_SUCCESS;
}
template <class Handle>
cublasStatus_t gone(Handle handle) {
  delete &descriptor(handle);
  return CUBLAS_STATUS_SUCCESS;
}
template <class Handle>
cublasStatus_t said(Handle handle, int attribute, const void* value, std::size_t size) {
  std::int64_t number = 0;
  std::memcpy(&number, value, size);
  descriptor(handle).attributes[attribute] = number;
  return CUBLAS_STATUS_SUCCESS;
}

ElementType type_of(cudaDataType_t type) {
  return type == CUDA_R_16BF ? ElementType::Bf16 : ElementType::F32;
}

struct Handle {
  int device = 0;
};

/// What an algorithm may rely on.
struct Promise {
  std::int64_t first, second, result, bias, workspace;
};
static_assert(sizeof(Promise) <= sizeof(cublasLtMatmulAlgo_t));

bool aligned(const void* address, std::int64_t to) {
  return to == 0 ||
         reinterpret_cast<std::uintptr_t>(address) % static_cast<std::uintptr_t>(to) == 0;
}

std::size_t bytes_of(const ColumnMajor& matrix, std::int64_t batch) {
  const std::int64_t elements = (batch - 1) * matrix.batch_stride +
                                (matrix.cols - 1) * matrix.leading_dimension + matrix.rows;
  return static_cast<std::size_t>(elements * meshplan::kernels::size_in_bytes(matrix.type));
}

GemmProblem problem_of(cublasLtMatmulDesc_t compute, cublasLtMatrixLayout_t first,
                       cublasLtMatrixLayout_t second, cublasLtMatrixLayout_t result) {
  const auto matrix = [](cublasLtMatrixLayout_t layout) {
    ColumnMajor out = descriptor(layout).matrix;
    out.batch_stride = descriptor(layout).of(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
    return out;
  };
  GemmProblem p;
  p.transpose_first = descriptor(compute).of(CUBLASLT_MATMUL_DESC_TRANSA) == CUBLAS_OP_T;
  p.transpose_second = descriptor(compute).of(CUBLASLT_MATMUL_DESC_TRANSB) == CUBLAS_OP_T;
  p.first = matrix(first);
  p.second = matrix(second);
  p.result = matrix(result);
  p.batch = descriptor(result).of(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 1);
  p.m = p.result.rows;
  p.n = p.result.cols;
  p.k = p.transpose_first ? p.first.rows : p.first.cols;
  p.bias = descriptor(compute).of(CUBLASLT_MATMUL_DESC_EPILOGUE) == CUBLASLT_EPILOGUE_BIAS;
  const std::int64_t k = p.transpose_second ? p.second.cols : p.second.rows;
  const bool fits = p.k == k && p.m == (p.transpose_first ? p.first.cols : p.first.rows) &&
                    p.n == (p.transpose_second ? p.second.rows : p.second.cols);
  if (!fits) report("cublasLt: shapes that do not fit");
  return p;
}

}  // namespace

std::size_t cublasLtGetVersion() { return 130002; }
const char* cublasLtGetStatusString(cublasStatus_t) { return "as was played"; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (const int error = stored_failure("cublasLtCreate")) return static_cast<cublasStatus_t>(error);
  *handle = reinterpret_cast<cublasLtHandle_t>(new Handle{current_device()});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<Handle*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t leading) {
  Descriptor out;
  out.matrix.rows = static_cast<std::int64_t>(rows);
  out.matrix.cols = static_cast<std::int64_t>(cols);
  out.matrix.leading_dimension = leading;
  out.matrix.type = type_of(type);
  if (leading < out.matrix.rows) return CUBLAS_STATUS_INVALID_VALUE;
  return made(layout, out);
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return gone(layout); }
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t size) {
  return said(layout, attribute, value, size);
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t,
                                        cudaDataType_t) {
  return made(description);
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  return gone(description);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t size) {
  return said(description, attribute, value, size);
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return made(preference);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return gone(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t size) {
  return said(preference, attribute, value, size);
}

/// As a library without an epilogue for bf16, so that both ways to add a bias are taken.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t compute,
                                              cublasLtMatrixLayout_t first,
                                              cublasLtMatrixLayout_t second,
                                              cublasLtMatrixLayout_t result, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* found) {
  *found = 0;
  const GemmProblem p = problem_of(compute, first, second, result);
  if (p.bias && p.result.type == ElementType::Bf16) return CUBLAS_STATUS_NOT_SUPPORTED;
  const std::int64_t bias = descriptor(compute).of(CUBLASLT_MATMUL_DESC_BIAS_POINTER);
  if (p.bias && bias == 0) report("cublasLt: asked for a bias of an address that is not told");
  const Descriptor& wishes = descriptor(preference);
  const Promise promise{wishes.of(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 256),
                        wishes.of(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 256),
                        wishes.of(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 256),
                        p.bias ? bias & -bias : 0,
                        wishes.of(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)};
  results[0] = {};
  std::memcpy(&results[0].algo, &promise, sizeof(promise));
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t compute,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t first,
                              const void* b, cublasLtMatrixLayout_t second, const void* beta,
                              const void*, cublasLtMatrixLayout_t, void* d,
                              cublasLtMatrixLayout_t result, const cublasLtMatmulAlgo_t* algorithm,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  if (const int error = stored_failure("cublasLtMatmul")) return static_cast<cublasStatus_t>(error);
  const GemmProblem p = problem_of(compute, first, second, result);
  Promise promise{};
  std::memcpy(&promise, algorithm, sizeof(promise));
  const auto* const bias =
      p.bias
          ? reinterpret_cast<const void*>(descriptor(compute).of(CUBLASLT_MATMUL_DESC_BIAS_POINTER))
          : nullptr;
  if (!aligned(a, promise.first) || !aligned(b, promise.second) || !aligned(d, promise.result) ||
      !aligned(bias, promise.bias)) {
    report("cublasLtMatmul: an operand that is less aligned than its algorithm was told");
  }
  if (reinterpret_cast<Handle*>(handle)->device != current_device() ||
      device_of(stream) != current_device()) {
    report("cublasLtMatmul: handle, stream and thread are of different devices");
  }
  if (workspace_bytes < static_cast<std::size_t>(promise.workspace)) {
    report("cublasLtMatmul: less workspace than its algorithm was told");
  }
  require_memory("cublasLtMatmul", workspace, workspace_bytes, stream);
  require_memory("cublasLtMatmul", a, bytes_of(p.first, p.batch), stream);
  require_memory("cublasLtMatmul", b, bytes_of(p.second, p.batch), stream);
  require_memory("cublasLtMatmul", d, bytes_of(p.result, p.batch), stream);
  if (machine().idle) return CUBLAS_STATUS_SUCCESS;
  enqueue(stream, [=, alpha_value = *static_cast<const float*>(alpha),
                   beta_value = *static_cast<const float*>(beta)] {
    if (workspace_bytes > 0) static_cast<char*>(workspace)[0] = 1;  // one stream at a time may
    meshplan::kernels::testing::multiply_columns(p, a, b, d, bias, alpha_value, beta_value);
  });
  return CUBLAS_STATUS_SUCCESS;
}

// ---- the management library: eight devices on a switch

extern "C" {

struct PlayedMemory {
  unsigned long long total, free, used;
};
struct PlayedPci {
  char legacy_bus_id[16];
  unsigned domain, bus, device, device_and_vendor, subsystem;
  char bus_id[32];
};

int nvmlInit_v2() { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  unsigned bus = 0;
  if (std::sscanf(bus_id, "%*x:%x:", &bus) != 1) return 2;
  *device = reinterpret_cast<void*>(static_cast<std::uintptr_t>(bus));
  return 0;
}
int nvmlDeviceGetClockInfo(void*, int which, unsigned* megahertz) {
  *megahertz = which == 1 ? 1830 : 3201;
  return 0;
}
int nvmlDeviceGetMaxClockInfo(void*, int which, unsigned* megahertz) {
  *megahertz = which == 1 ? 1980 : 3201;
  return 0;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = 412500;
  return 0;
}
int nvmlDeviceGetTemperature(void*, int, unsigned* celsius) {
  *celsius = 48;
  return 0;
}
int nvmlDeviceGetMemoryInfo(void* device, PlayedMemory* memory) {
  memory->total = static_cast<unsigned long long>(machine().memory_bytes);
  memory->used = static_cast<unsigned long long>(
      used_memory(static_cast<int>(reinterpret_cast<std::uintptr_t>(device)) - 1));
  memory->free = memory->total - memory->used;
  return 0;
}
int nvmlDeviceGetPciInfo_v3(void* device, PlayedPci* pci) {
  *pci = {};
  pci->bus = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(device));
  pci->device_and_vendor = 0x233510DE;
  return 0;
}
int nvmlDeviceGetNvLinkState(void*, unsigned link, unsigned* up) {
  if (link >= 18) return 2;  // NVML_ERROR_INVALID_ARGUMENT
  *up = 1;
  return 0;
}
int nvmlDeviceGetNvLinkRemoteDeviceType(void*, unsigned, unsigned* type) {
  *type = 2;  // NVML_NVLINK_DEVICE_TYPE_SWITCH
  return 0;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void*, unsigned, PlayedPci* pci) {
  *pci = {};
  pci->bus = 0xF0;  // of the switch
  return 0;
}
int nvmlDeviceGetMaxPcieLinkGeneration(void*, unsigned* generation) {
  *generation = 5;
  return 0;
}
int nvmlDeviceGetMaxPcieLinkWidth(void*, unsigned* lanes) {
  *lanes = 16;
  return 0;
}
}
