#pragma once
#include <cudnn_graph.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/attention_graph.h"

namespace meshplan::kernels::cuda {

/// The functions of libcudnn.so.9 that are called. Nothing of it is linked.
struct CudnnLibrary {
  decltype(&cudnnGetVersion) version = nullptr;
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnDestroy) destroy = nullptr;
  decltype(&cudnnSetStream) set_stream = nullptr;
  decltype(&cudnnGetErrorString) error_text = nullptr;
  decltype(&cudnnGetLastErrorString) last_error = nullptr;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&cudnnBackendGetAttribute) attribute = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;

  std::string why_not;  ///< "" if all of them were found
};

/// Loaded once a process.
const CudnnLibrary& cudnn();

/// "9.19.0"
std::string cudnn_version();

/// A descriptor of the backend API. Failures throw Error with cuDNN's last message.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);

  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           std::span<const T> values) {
    set_raw(name, type, static_cast<std::int64_t>(values.size()), values.data());
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    set_raw(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other);
  void finalize();

  [[nodiscard]] cudnnBackendDescriptor_t get() const { return descriptor_.get(); }

 private:
  void set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
               std::int64_t count, const void* values);

  struct Destroy {
    void operator()(cudnnBackendDescriptor_t descriptor) const {
      cudnn().destroy_descriptor(descriptor);
    }
  };
  std::unique_ptr<void, Destroy> descriptor_;
};

/// For whom a plan is made: a handle of a device, or, with `device` set, the description of a
/// device that need not be there (finalized, cuDNN 9.8 and later).
struct CudnnTarget {
  cudnnHandle_t handle = nullptr;
  const CudnnDescriptor* device = nullptr;
};

/// A graph that an engine of cuDNN will run.
struct CudnnPlan {
  /// Operations and tensors that the plan refers to.
  std::vector<CudnnDescriptor> parts;
  std::unique_ptr<CudnnDescriptor> plan;
  std::int64_t workspace_bytes = 0;
};

/// The first engine of cuDNN's heuristics that takes the graph. Throws Error where none does.
CudnnPlan plan_for(const AttentionGraph& graph, const CudnnTarget& target);

}  // namespace meshplan::kernels::cuda
