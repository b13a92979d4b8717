#pragma once
#include <memory>
#include <span>
#include <utility>

#include "runtime/device/device.h"

namespace meshplan::runtime {

/// A contiguous [rows, cols] matrix of floats in the memory of a device. A handle: copies share the
/// memory, which is released with the last of them. An empty one holds nothing.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Device& device, std::int64_t rows, std::int64_t cols, MemoryTerm term)
      : block_(std::make_shared<Block>(device, profiles::Bytes{rows * cols * 4}, term)),
        rows_(rows),
        cols_(cols) {}

  [[nodiscard]] bool empty() const { return block_ == nullptr; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t cols() const { return cols_; }
  [[nodiscard]] float* data() const {
    return block_ ? static_cast<float*>(block_->memory) : nullptr;
  }
  [[nodiscard]] kernels::TensorView view() const {
    return kernels::matrix_view(data(), rows_, cols_);
  }
  [[nodiscard]] std::span<float> elements() const {
    return {data(), static_cast<std::size_t>(rows_ * cols_)};
  }

 private:
  struct Block {
    Block(Device& d, profiles::Bytes s, MemoryTerm t)
        : device(d), size(s), term(t), memory(d.allocate(s, t)) {}
    ~Block() { device.release(memory, size, term); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    Device& device;
    profiles::Bytes size;
    MemoryTerm term;
    void* memory;
  };

  std::shared_ptr<Block> block_;
  std::int64_t rows_ = 0, cols_ = 0;
};

}  // namespace meshplan::runtime
