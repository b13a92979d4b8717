#pragma once
#include <memory>
#include <string>

#include "kernels/attention.h"

struct CUstream_st;

namespace meshplan::kernels::cuda {

/// cuDNN's flash attention, if libcudnn.so.9 can be loaded: a graph is built for each shape, the
/// first time that it is asked for. Nothing of cuDNN is linked; a machine without it has the rest.
class FusedAttention {
 public:
  explicit FusedAttention(CUstream_st* stream);
  ~FusedAttention();
  FusedAttention(const FusedAttention&) = delete;
  FusedAttention& operator=(const FusedAttention&) = delete;

  /// "" if run() will do it, else why not. Builds the graph.
  std::string why_not(const AttentionForward& op);
  std::string why_not(const AttentionBackward& op);

  void run(const AttentionForward& op);
  void run(const AttentionBackward& op);

  /// Workspace of the graphs.
  [[nodiscard]] std::int64_t held_bytes() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

/// "cuDNN 9.19.0", or "no cuDNN: <what the loader says>".
std::string fused_attention_version();

}  // namespace meshplan::kernels::cuda
