#pragma once
#include <cstddef>
#include <memory>
#include <unordered_map>

#include "kernels/cuda/queue.h"

namespace meshplan::kernels::cuda {

class GemmLibrary;     ///< handle, workspace and prepared problems: gemm_cublaslt.cpp
class FusedAttention;  ///< graphs of cuDNN: fused_attention_cudnn.cpp

/// Memory of the device that grows and is kept; what it held is lost when it grows.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  /// At least `bytes`, aligned to 256. Growing waits for `stream`, whose work may still use what is
  /// given back.
  void* reserve(std::int64_t bytes, CUstream_st* stream);
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  std::int64_t bytes_ = 0;
};

struct Queue::State {
  int device = 0;
  CUstream_st* stream = nullptr;
  int multiprocessors = 1;
  QueueOptions options;
  /// Of each kernel that was issued, by its function: blocks that a multiprocessor holds at a time.
  std::unordered_map<const void*, int> resident_blocks;
  Scratch scratch;
  std::optional<AttentionKernel> forward, backward;  ///< of the attention issued last
  std::string why_not_fused;                         ///< of those, the last that is not
  std::shared_ptr<GemmLibrary> gemm;
  std::shared_ptr<FusedAttention> fused_attention;
};

/// Pieces of one operation's scratch memory, each aligned to 256 bytes.
class ScratchLayout {
 public:
  /// The offset of a new piece.
  std::int64_t take(std::int64_t bytes) {
    const std::int64_t offset = bytes_;
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  static constexpr std::int64_t kAlignment = 256;
  std::int64_t bytes_ = 0;
};

template <class T>
T* piece(void* scratch, std::int64_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(scratch) + offset);
}

}  // namespace meshplan::kernels::cuda
