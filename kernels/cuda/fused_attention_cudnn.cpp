#include <cuda_runtime_api.h>

#include <optional>
#include <utility>

#include "kernels/cuda/attention_graph.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/fused_attention.h"
#include "kernels/cuda/queue_state.h"

namespace meshplan::kernels::cuda {
namespace {

/// A graph as it was asked for, and its plan or the reason why there is none.
struct Prepared {
  bool backward = false;
  AttentionLayout layout;
  AttentionGraph graph;
  std::optional<CudnnPlan> plan;
  std::string why_not;
};

struct Binding {
  std::int64_t id;
  const void* memory;
};

}  // namespace

struct FusedAttention::State {
  CUstream_st* stream = nullptr;
  cudnnHandle_t handle = nullptr;
  std::vector<std::unique_ptr<Prepared>> prepared;  ///< few: shapes and layouts of one model
  Scratch workspace;

  ~State() {
    prepared.clear();
    if (handle != nullptr) cudnn().destroy(handle);
  }

  void need_handle() {
    if (handle != nullptr) return;
    if (const cudnnStatus_t status = cudnn().create(&handle); status != CUDNN_STATUS_SUCCESS)
      fail("cudnnCreate", cudnn().error_text(status));
    if (const cudnnStatus_t status = cudnn().set_stream(handle, stream);
        status != CUDNN_STATUS_SUCCESS)
      fail("cudnnSetStream", cudnn().error_text(status));
  }

  Prepared& prepare(const AttentionLayout& layout, bool backward) {
    for (const auto& known : prepared)
      if (known->backward == backward && known->layout == layout) return *known;
    auto made = std::make_unique<Prepared>();
    made->backward = backward;
    made->layout = layout;
    // The graph of small operations, or where this cuDNN or device has no engine for it the single
    // operation. Backward has none that finalizes on the devices looked at (cuDNN 9.19).
    std::vector<AttentionGraph> graphs;
    graphs.push_back(backward ? backward_graph(layout) : forward_graph(layout));
    if (!backward) graphs.push_back(single_forward_graph(layout));
    for (AttentionGraph& graph : graphs) {
      try {
        need_handle();
        made->plan = plan_for(graph, {.handle = handle});
        made->graph = std::move(graph);
        made->why_not.clear();
        break;
      } catch (const Error& error) {
        made->why_not += (made->why_not.empty() ? "" : "; ") + std::string(error.what());
      }
    }
    prepared.push_back(std::move(made));
    return *prepared.back();
  }

  template <class Op>
  std::string why_not(const Op& op, bool backward) {
    if (!cudnn().why_not.empty()) return cudnn().why_not;
    std::string reason = why_no_graph(op);
    return reason.empty() ? prepare(layout_of(op), backward).why_not : reason;
  }

  void execute(const Prepared& attention, std::vector<Binding> bindings, void* scratch) {
    for (const GraphTensor& tensor : attention.graph.tensors)
      if (tensor.value) bindings.push_back({tensor.id, &*tensor.value});
    std::vector<std::int64_t> ids;
    std::vector<void*> memory;
    for (const Binding& binding : bindings) {
      ids.push_back(binding.id);
      memory.push_back(const_cast<void*>(binding.memory));
    }
    CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
             std::span<const std::int64_t>(ids));
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
             std::span<void* const>(memory));
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
    pack.finalize();
    if (const cudnnStatus_t status =
            cudnn().execute(handle, attention.plan->plan->get(), pack.get());
        status != CUDNN_STATUS_SUCCESS)
      fail("cudnnBackendExecute", cudnn().error_text(status));
  }
};

FusedAttention::FusedAttention(CUstream_st* stream) : state_(std::make_unique<State>()) {
  state_->stream = stream;
}
FusedAttention::~FusedAttention() = default;

std::string FusedAttention::why_not(const AttentionForward& op) {
  return state_->why_not(op, false);
}
std::string FusedAttention::why_not(const AttentionBackward& op) {
  return state_->why_not(op, true);
}

void FusedAttention::run(const AttentionForward& op) {
  const Prepared& attention = state_->prepare(layout_of(op), false);
  void* workspace = state_->workspace.reserve(attention.plan->workspace_bytes, state_->stream);
  state_->execute(attention,
                  {{kQuery, op.q.data},
                   {kKey, op.k.data},
                   {kValue, op.v.data},
                   {kOut, op.out.data},
                   {kLogSumExp, op.log_sum_exp.data()}},
                  workspace);
}

void FusedAttention::run(const AttentionBackward& op) {
  const Prepared& attention = state_->prepare(layout_of(op), true);
  ScratchLayout layout;
  const std::int64_t at_workspace = layout.take(attention.plan->workspace_bytes);
  const std::int64_t sum_bytes = 4 * op.q.elements();
  const std::int64_t at_sum = layout.take(sum_bytes);
  void* scratch = state_->workspace.reserve(layout.bytes(), state_->stream);
  void* sum = piece<void>(scratch, at_sum);
  check(cudaMemsetAsync(sum, 0, static_cast<std::size_t>(sum_bytes), state_->stream),
        "cudaMemsetAsync");
  state_->execute(attention,
                  {{kQuery, op.q.data},
                   {kKey, op.k.data},
                   {kValue, op.v.data},
                   {kOut, op.out.data},
                   {kLogSumExp, op.log_sum_exp.data()},
                   {kDout, op.dout.data},
                   {kDquery, op.dq.data},
                   {kDkey, op.dk.data},
                   {kDvalue, op.dv.data},
                   {kDquerySum, sum}},
                  piece<void>(scratch, at_workspace));
}

std::int64_t FusedAttention::held_bytes() const { return state_->workspace.bytes(); }

std::string fused_attention_version() {
  return cudnn().why_not.empty() ? "cuDNN " + cudnn_version() : "no cuDNN: " + cudnn().why_not;
}

}  // namespace meshplan::kernels::cuda
