#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels/attention.h"

struct CUstream_st;  // cudaStream_t is a pointer to it; so this header needs none of CUDA's

namespace meshplan::kernels::cuda {

/// A call of CUDA, cuBLASLt or cuDNN that failed; what() names the place, the call and the reason.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How attention is computed.
enum class AttentionKernel : std::uint8_t {
  Unfused,  ///< batched GEMMs of cuBLASLt around our softmax; every shape and type
  Decode,   ///< our kernel for few queries a key head, forward only
  Fused,    ///< cuDNN's flash attention, bf16
};

std::string_view name(AttentionKernel kernel);

struct QueueOptions {
  /// Multiprocessors that the stream may use: those of its green context. Unset: the whole device.
  std::optional<int> multiprocessors;
  /// Handed to cuBLASLt for split sums; NVIDIA advises 32 MiB from Hopper on.
  std::int64_t gemm_workspace_bytes = std::int64_t{32} << 20;
  /// The scores of unfused attention that exist at a time; at least one row of them.
  std::int64_t score_bytes = std::int64_t{256} << 20;
  /// Unset: Fused where cuDNN has it, else Decode, else Unfused.
  std::optional<AttentionKernel> attention;
};

/// Where operations are issued: a stream, a cuBLASLt handle, scratch memory, prepared GEMMs and
/// attention graphs. One queue belongs to one thread at a time. Operations of a queue run in order
/// of issue; the call returns before they are done.
///
/// Results are the same bits on every run of one device and one version of the libraries, but for
/// the gradients of queries of cuDNN's fused attention, which adds them by atomics.
class Queue {
 public:
  /// `device`: ordinal of the process. `stream`: made by the caller on that device, and alive until
  /// the queue is destroyed; null: the default stream. Throws Error.
  Queue(int device, CUstream_st* stream, const QueueOptions& options = {});
  ~Queue();
  Queue(Queue&&) noexcept;
  Queue& operator=(Queue&&) noexcept;

  [[nodiscard]] int device() const;
  [[nodiscard]] CUstream_st* stream() const;

  /// Device memory that the queue itself holds now. It grows with the largest operation seen;
  /// growing waits for the stream, so it belongs in the warm-up.
  [[nodiscard]] std::int64_t held_bytes() const;

  struct State;
  State& state() { return *state_; }
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// The kernels that an attention of this shape and storage, with or without dropout, gets on this
/// queue, and why not the fused one: "" where it is fused, else "libcudnn.so.9: cannot open shared
/// object file", "head_dim 43 is no multiple of 8", ... The first call for a shape builds its
/// graphs.
struct AttentionChoice {
  AttentionKernel forward = AttentionKernel::Unfused;
  AttentionKernel backward = AttentionKernel::Unfused;
  std::string why_not_fused_forward, why_not_fused_backward;
};
AttentionChoice attention_choice(Queue& queue, const AttentionShape& shape, ElementType type,
                                 bool dropout = false);

/// How the attention of the queue was computed last, as "attention forward fused, backward unfused
/// (cuDNN has no engine for it)"; "" before there was any.
std::string attention_in_words(const Queue& queue);

/// "cuBLASLt 13.0.2, cuDNN 9.19.0" or "cuBLASLt 13.0.2, no cuDNN: <reason>".
std::string library_versions();

}  // namespace meshplan::kernels::cuda
