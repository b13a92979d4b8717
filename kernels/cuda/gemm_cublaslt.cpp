#include <cublasLt.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kernels/cuda/check.h"
#include "kernels/cuda/gemm_library.h"
#include "kernels/cuda/gemm_problem.h"
#include "kernels/cuda/queue_state.h"

namespace meshplan::kernels::cuda {
namespace {

cudaDataType_t data_type(ElementType type) {
  return type == ElementType::Bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

struct DestroyLayout {
  void operator()(cublasLtMatrixLayout_t layout) const { cublasLtMatrixLayoutDestroy(layout); }
};
using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, DestroyLayout>;

struct DestroyDescription {
  void operator()(cublasLtMatmulDesc_t description) const {
    cublasLtMatmulDescDestroy(description);
  }
};
using Description = std::unique_ptr<cublasLtMatmulDescOpaque_t, DestroyDescription>;

struct DestroyPreference {
  void operator()(cublasLtMatmulPreference_t preference) const {
    cublasLtMatmulPreferenceDestroy(preference);
  }
};
using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, DestroyPreference>;

template <class T>
void set(const Layout& layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  check(cublasLtMatrixLayoutSetAttribute(layout.get(), attribute, &value, sizeof(value)),
        "cublasLtMatrixLayoutSetAttribute");
}
template <class T>
void set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof(value)),
        "cublasLtMatmulDescSetAttribute");
}
template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)),
        "cublasLtMatmulPreferenceSetAttribute");
}

Layout layout_of(const ColumnMajor& matrix, std::int64_t batch) {
  cublasLtMatrixLayout_t created = nullptr;
  check(cublasLtMatrixLayoutCreate(
            &created, data_type(matrix.type), static_cast<std::uint64_t>(matrix.rows),
            static_cast<std::uint64_t>(matrix.cols), matrix.leading_dimension),
        "cublasLtMatrixLayoutCreate");
  Layout layout(created);
  if (batch > 1) {
    set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(batch));
    set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, matrix.batch_stride);
  }
  return layout;
}

}  // namespace

/// One problem, ready to be issued with addresses.
struct PreparedGemm {
  Description description;
  Layout first, second, result;
  cublasLtMatmulAlgo_t algorithm{};
};

struct GemmLibrary::State {
  cublasLtHandle_t handle = nullptr;
  std::int64_t workspace_bytes = 0;
  std::optional<int> multiprocessors;
  Scratch workspace;
  std::map<GemmProblem, std::optional<PreparedGemm>> prepared;  ///< none: no algorithm

  const std::optional<PreparedGemm>& prepared_for(const GemmProblem& problem);

  ~State() {
    if (handle != nullptr) cublasLtDestroy(handle);
  }
};

GemmLibrary::GemmLibrary(const QueueOptions& options) : state_(std::make_unique<State>()) {
  check(cublasLtCreate(&state_->handle), "cublasLtCreate");
  state_->workspace_bytes = options.gemm_workspace_bytes;
  state_->multiprocessors = options.multiprocessors;
}
GemmLibrary::~GemmLibrary() = default;

std::int64_t GemmLibrary::held_bytes() const { return state_->workspace.bytes(); }

namespace {

std::optional<PreparedGemm> prepare(const GemmProblem& problem, const GemmLibrary::State& library) {
  PreparedGemm gemm;
  // Sums in fp32 for bf16 and fp32 alike; CUBLAS_COMPUTE_32F does not round fp32 operands to TF32.
  cublasLtMatmulDesc_t created = nullptr;
  check(cublasLtMatmulDescCreate(&created, CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  gemm.description.reset(created);
  set(gemm.description, CUBLASLT_MATMUL_DESC_TRANSA,
      problem.transpose_first ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(gemm.description, CUBLASLT_MATMUL_DESC_TRANSB,
      problem.transpose_second ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (problem.bias) {
    set(gemm.description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(gemm.description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(problem.result.type));
    // The heuristics take the bias to be aligned as this address is, and do not look there.
    set(gemm.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
        reinterpret_cast<const void*>(problem.result.alignment));
  }
  if (library.multiprocessors)
    set(gemm.description, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET,
        static_cast<std::int32_t>(*library.multiprocessors));
  gemm.first = layout_of(problem.first, problem.batch);
  gemm.second = layout_of(problem.second, problem.batch);
  gemm.result = layout_of(problem.result, problem.batch);

  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const Preference preference(made);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      static_cast<std::uint64_t>(library.workspace_bytes));
  // Parts of a sum over k are added in fp32 and in a fixed order, never in bf16.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
      static_cast<std::uint32_t>(problem.first.alignment));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      static_cast<std::uint32_t>(problem.second.alignment));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
      static_cast<std::uint32_t>(problem.result.alignment));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
      static_cast<std::uint32_t>(problem.result.alignment));

  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      library.handle, gemm.description.get(), gemm.first.get(), gemm.second.get(),
      gemm.result.get(), gemm.result.get(), preference.get(), 1, &best, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found == 0))
    return std::nullopt;
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  gemm.algorithm = best.algo;
  return gemm;
}

}  // namespace

const std::optional<PreparedGemm>& GemmLibrary::State::prepared_for(const GemmProblem& problem) {
  const auto known = prepared.find(problem);
  if (known != prepared.end()) return known->second;
  return prepared.emplace(problem, prepare(problem, *this)).first->second;
}

bool GemmLibrary::multiplies(const BatchedGemm& gemm) {
  return state_->prepared_for(problem_of(gemm)).has_value();
}

void GemmLibrary::multiply(const BatchedGemm& gemm, CUstream_st* stream) {
  const GemmProblem problem = problem_of(gemm);
  const std::optional<PreparedGemm>& found = state_->prepared_for(problem);
  if (!found)
    fail("cublasLtMatmulAlgoGetHeuristic",
         "no algorithm for a product of " + std::to_string(problem.m) + " x " +
             std::to_string(problem.n) + " x " + std::to_string(problem.k));
  const PreparedGemm& prepared = *found;
  if (problem.bias) set(prepared.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, gemm.bias.data);
  void* workspace = state_->workspace.reserve(state_->workspace_bytes, stream);
  check(cublasLtMatmul(state_->handle, prepared.description.get(), &gemm.alpha, gemm.b.data,
                       prepared.first.get(), gemm.a.data, prepared.second.get(), &gemm.beta,
                       gemm.c.data, prepared.result.get(), gemm.c.data, prepared.result.get(),
                       &prepared.algorithm, workspace,
                       static_cast<std::size_t>(state_->workspace_bytes), stream),
        "cublasLtMatmul");
}

bool multiplies(const BatchedGemm& gemm, Queue& queue) {
  return queue.state().gemm->multiplies(gemm);
}

void multiply(const BatchedGemm& gemm, Queue& queue) {
  queue.state().gemm->multiply(gemm, queue.state().stream);
}

}  // namespace meshplan::kernels::cuda
