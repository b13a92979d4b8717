#include "kernels/cuda/cudnn.h"

#include <dlfcn.h>

#include <array>

#include "kernels/cuda/check.h"

namespace meshplan::kernels::cuda {
namespace {

constexpr const char* kLibrary = "libcudnn.so.9";

template <class Function>
void find(void* library, const char* name, Function& function, std::string& why_not) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr && why_not.empty()) why_not = std::string(kLibrary) + " has no " + name;
}

CudnnLibrary load() {
  CudnnLibrary library;
  void* loaded = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    library.why_not = dlerror();
    return library;
  }
  find(loaded, "cudnnGetVersion", library.version, library.why_not);
  find(loaded, "cudnnCreate", library.create, library.why_not);
  find(loaded, "cudnnDestroy", library.destroy, library.why_not);
  find(loaded, "cudnnSetStream", library.set_stream, library.why_not);
  find(loaded, "cudnnGetErrorString", library.error_text, library.why_not);
  find(loaded, "cudnnGetLastErrorString", library.last_error, library.why_not);
  find(loaded, "cudnnBackendCreateDescriptor", library.create_descriptor, library.why_not);
  find(loaded, "cudnnBackendDestroyDescriptor", library.destroy_descriptor, library.why_not);
  find(loaded, "cudnnBackendSetAttribute", library.set_attribute, library.why_not);
  find(loaded, "cudnnBackendGetAttribute", library.attribute, library.why_not);
  find(loaded, "cudnnBackendFinalize", library.finalize, library.why_not);
  find(loaded, "cudnnBackendExecute", library.execute, library.why_not);
  return library;
}

void check(cudnnStatus_t status, std::string_view call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> message{};
  cudnn().last_error(message.data(), message.size());
  fail(call, std::string(cudnn().error_text(status)) + " " + message.data());
}

cudnnDataType_t data_type(GraphType type) {
  switch (type) {
    case GraphType::F32:
      return CUDNN_DATA_FLOAT;
    case GraphType::Bf16:
      return CUDNN_DATA_BFLOAT16;
    case GraphType::Int32:
      return CUDNN_DATA_INT32;
    case GraphType::Boolean:
      break;
  }
  return CUDNN_DATA_BOOLEAN;
}

CudnnDescriptor describe(const GraphTensor& tensor) {
  CudnnDescriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, tensor.id);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(tensor.type));
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const std::int64_t>(tensor.dims));
  d.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const std::int64_t>(tensor.strides));
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{16});
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, tensor.is_virtual);
  d.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, tensor.value.has_value());
  if (tensor.reordered)
    d.set(CUDNN_ATTR_TENSOR_REORDERING_MODE, CUDNN_TYPE_TENSOR_REORDERING_MODE,
          CUDNN_TENSOR_REORDERING_F16x16);
  d.finalize();
  return d;
}

cudnnPointwiseMode_t pointwise_mode(GraphOperation operation) {
  switch (operation) {
    case GraphOperation::Multiply:
      return CUDNN_POINTWISE_MUL;
    case GraphOperation::Subtract:
      return CUDNN_POINTWISE_SUB;
    case GraphOperation::Add:
      return CUDNN_POINTWISE_ADD;
    case GraphOperation::Divide:
      return CUDNN_POINTWISE_DIV;
    case GraphOperation::Exponential:
      return CUDNN_POINTWISE_EXP;
    case GraphOperation::Logarithm:
      return CUDNN_POINTWISE_LOG;
    case GraphOperation::RowIndex:
    case GraphOperation::ColumnIndex:
      return CUDNN_POINTWISE_GEN_INDEX;
    case GraphOperation::GreaterOrEqual:
      return CUDNN_POINTWISE_CMP_GE;
    case GraphOperation::Select:
      return CUDNN_POINTWISE_BINARY_SELECT;
    default:
      return CUDNN_POINTWISE_IDENTITY;
  }
}

// What cuDNN's headers name from 9.20 and 9.21 on. The library may be newer than the headers that
// this was built with; an older one refuses the numbers. Source: cudnn_graph.h of 9.21.
constexpr auto kSubgraph = static_cast<cudnnBackendAttributeName_t>(2811);
constexpr auto kSubgraphInput = static_cast<cudnnBackendAttributeName_t>(2812);
constexpr auto kSubgraphOutput = static_cast<cudnnBackendAttributeName_t>(2813);
constexpr auto kBandMask = static_cast<cudnnBackendDescriptorType_t>(44);
constexpr auto kBandMaskScores = static_cast<cudnnBackendAttributeName_t>(3000);
constexpr auto kBandMaskUnseen = static_cast<cudnnBackendAttributeName_t>(3005);
constexpr auto kBandMaskResult = static_cast<cudnnBackendAttributeName_t>(3006);
constexpr auto kBandMaskComparison = static_cast<cudnnBackendAttributeName_t>(3007);
constexpr std::size_t kVersionOfSubgraphs = 92100;

class Translator {
 public:
  Translator(const AttentionGraph& graph, cudnnHandle_t handle) : graph_(graph), handle_(handle) {
    for (const GraphTensor& tensor : graph.tensors) parts_.push_back(describe(tensor));
    for (const GraphNode& node : graph.nodes) {
      const CudnnDescriptor& operation = translate(node);
      // A mask belongs to the attention that follows it.
      if (node.operation != GraphOperation::CausalMask) operations_.push_back(operation.get());
    }
  }

  std::span<const cudnnBackendDescriptor_t> operations() const { return operations_; }
  std::vector<CudnnDescriptor> parts() { return std::move(parts_); }

 private:
  const CudnnDescriptor& tensor(std::int64_t id) const {
    for (std::size_t i = 0; i < graph_.tensors.size(); ++i)
      if (graph_.tensors[i].id == id) return parts_[i];
    fail("attention graph", "no tensor " + std::to_string(id));
  }

  const CudnnDescriptor& translate(const GraphNode& node) {
    switch (node.operation) {
      case GraphOperation::MatrixProduct: {
        CudnnDescriptor rule(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
        rule.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
        rule.finalize();
        CudnnDescriptor d(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
        d.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, tensor(node.inputs[0]));
        d.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, tensor(node.inputs[1]));
        d.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, tensor(node.output));
        d.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, rule);
        return keep(std::move(rule), std::move(d));
      }
      case GraphOperation::SumOfReduced:
      case GraphOperation::MaxOfReduced: {
        CudnnDescriptor rule(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
        rule.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
                 node.operation == GraphOperation::MaxOfReduced ? CUDNN_REDUCE_TENSOR_MAX
                                                                : CUDNN_REDUCE_TENSOR_ADD);
        rule.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
        rule.finalize();
        CudnnDescriptor d(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
        d.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, tensor(node.inputs[0]));
        d.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, tensor(node.output));
        d.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, rule);
        return keep(std::move(rule), std::move(d));
      }
      case GraphOperation::CausalMask:
        return translate_mask(node);
      case GraphOperation::Attention:
        return translate_attention(node);
      case GraphOperation::Reshape: {
        CudnnDescriptor d(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
        d.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, tensor(node.inputs[0]));
        d.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, tensor(node.output));
        return keep(std::move(d));
      }
      default:
        return translate_pointwise(node);
    }
  }

  const CudnnDescriptor& translate_mask(const GraphNode& node) {
    if (cudnn().version() < kVersionOfSubgraphs)
      fail("attention graph",
           "the single operation of cuDNN " + cudnn_version() + " has no causal mask (9.21 has)");
    CudnnDescriptor d(kBandMask);
    d.set(kBandMaskScores, tensor(node.inputs[0]));
    d.set(kBandMaskUnseen, tensor(node.inputs[1]));
    d.set(kBandMaskResult, tensor(node.output));
    d.set(kBandMaskComparison, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_CMP_GE);
    return keep(std::move(d));
  }

  const CudnnDescriptor& translate_attention(const GraphNode& node) {
    CudnnDescriptor d(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    constexpr std::array kInputs = {
        CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC,
        CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC,
        CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC};
    for (std::size_t i = 0; i < node.inputs.size(); ++i) d.set(kInputs[i], tensor(node.inputs[i]));
    d.set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, tensor(node.output));
    const GraphNode& before = graph_.nodes.front();
    if (before.operation != GraphOperation::CausalMask) return keep(std::move(d));
    CudnnDescriptor subgraph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    subgraph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, parts_.back());  // the mask
    if (handle_ != nullptr)
      subgraph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
    subgraph.finalize();
    d.set(kSubgraph, subgraph);
    d.set(kSubgraphInput, CUDNN_TYPE_INT64, before.inputs[0]);
    d.set(kSubgraphOutput, CUDNN_TYPE_INT64, before.output);
    return keep(std::move(subgraph), std::move(d));
  }

  const CudnnDescriptor& translate_pointwise(const GraphNode& node) {
    const bool row = node.operation == GraphOperation::RowIndex;
    const bool index = row || node.operation == GraphOperation::ColumnIndex;
    CudnnDescriptor rule(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    rule.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, pointwise_mode(node.operation));
    rule.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE,
             index                                              ? CUDNN_DATA_INT32
             : node.operation == GraphOperation::GreaterOrEqual ? CUDNN_DATA_BOOLEAN
                                                                : CUDNN_DATA_FLOAT);
    if (index) rule.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, std::int64_t{row ? 2 : 3});
    rule.finalize();
    CudnnDescriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    constexpr std::array kInputs = {CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                                    CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                                    CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
    for (std::size_t i = 0; i < node.inputs.size(); ++i) d.set(kInputs[i], tensor(node.inputs[i]));
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor(node.output));
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, rule);
    return keep(std::move(rule), std::move(d));
  }

  const CudnnDescriptor& keep(CudnnDescriptor rule, CudnnDescriptor operation) {
    parts_.push_back(std::move(rule));
    return keep(std::move(operation));
  }
  const CudnnDescriptor& keep(CudnnDescriptor operation) {
    operation.finalize();
    parts_.push_back(std::move(operation));
    return parts_.back();
  }

  const AttentionGraph& graph_;
  cudnnHandle_t handle_;
  std::vector<CudnnDescriptor> parts_;
  std::vector<cudnnBackendDescriptor_t> operations_;
};

}  // namespace

const CudnnLibrary& cudnn() {
  static const CudnnLibrary library = load();
  return library;
}

std::string cudnn_version() {
  const std::size_t version = cudnn().version();
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t created = nullptr;
  check(cudnn().create_descriptor(type, &created), "cudnnBackendCreateDescriptor");
  descriptor_.reset(created);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other) {
  const cudnnBackendDescriptor_t value = other.get();
  set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void CudnnDescriptor::set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                              std::int64_t count, const void* values) {
  check(cudnn().set_attribute(get(), name, type, count, values), "cudnnBackendSetAttribute");
}

void CudnnDescriptor::finalize() { check(cudnn().finalize(get()), "cudnnBackendFinalize"); }

CudnnPlan plan_for(const AttentionGraph& graph, const CudnnTarget& target) {
  Translator translator(graph, target.handle);
  CudnnDescriptor operations(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  operations.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                 translator.operations());
  if (target.handle != nullptr)
    operations.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, target.handle);
  operations.finalize();

  CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, operations);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (target.device != nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.device);
  heuristics.finalize();

  constexpr std::size_t kMostEngines = 8;
  std::vector<CudnnDescriptor> engines;
  std::vector<cudnnBackendDescriptor_t> found;
  for (std::size_t i = 0; i < kMostEngines; ++i) {
    engines.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    found.push_back(engines.back().get());
  }
  std::int64_t count = 0;
  check(cudnn().attribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                          CUDNN_TYPE_BACKEND_DESCRIPTOR, std::int64_t{kMostEngines}, &count,
                          found.data()),
        "cudnnBackendGetAttribute");
  std::string refusal = "cuDNN has no engine for it";
  for (std::size_t i = 0; i < static_cast<std::size_t>(count) && i < kMostEngines; ++i) {
    try {
      auto plan = std::make_unique<CudnnDescriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      if (target.handle != nullptr)
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, target.handle);
      if (target.device != nullptr) plan->set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target.device);
      plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engines[i]);
      plan->finalize();
      CudnnPlan ready;
      check(cudnn().attribute(plan->get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                              CUDNN_TYPE_INT64, 1, &count, &ready.workspace_bytes),
            "cudnnBackendGetAttribute");
      ready.parts = translator.parts();
      ready.parts.push_back(std::move(operations));
      ready.parts.push_back(std::move(heuristics));
      ready.parts.push_back(std::move(engines[i]));
      ready.plan = std::move(plan);
      return ready;
    } catch (const Error& error) {
      refusal = error.what();
    }
  }
  throw Error(refusal);
}

}  // namespace meshplan::kernels::cuda
