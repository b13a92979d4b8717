#pragma once
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

#include "runtime/device/device.h"

namespace meshplan::runtime {

/// A contiguous [rows, cols] matrix in the memory of a device. A handle: copies share the memory,
/// which is released with the last of them. An empty one holds nothing.
class Tensor {
 public:
  Tensor() = default;
  /// `first_user`: the queue that writes it first, see Device::allocate.
  Tensor(Device& device, std::int64_t rows, std::int64_t cols, MemoryTerm term,
         kernels::ElementType type = kernels::ElementType::F32, Queue first_user = Queue::Compute)
      : block_(std::make_shared<Block>(
            device, profiles::Bytes{rows * cols * kernels::size_in_bytes(type)}, term, first_user)),
        rows_(rows),
        cols_(cols),
        type_(type) {}

  [[nodiscard]] bool empty() const { return block_ == nullptr; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t cols() const { return cols_; }
  [[nodiscard]] kernels::ElementType type() const { return type_; }
  [[nodiscard]] void* memory() const { return block_ ? block_->memory : nullptr; }
  [[nodiscard]] kernels::TensorView view() const { return {memory(), rows_, cols_, cols_, type_}; }
  [[nodiscard]] Buffer buffer() const {
    return {memory(), static_cast<std::size_t>(rows_ * cols_), type_};
  }
  /// Of a tensor of floats.
  [[nodiscard]] float* data() const {
    if (type_ != kernels::ElementType::F32)
      throw std::logic_error("a tensor that is not of floats");
    return static_cast<float*>(memory());
  }
  [[nodiscard]] std::span<float> elements() const {
    return {data(), static_cast<std::size_t>(rows_ * cols_)};
  }
  /// Keeps the memory alive: for Device::keep.
  [[nodiscard]] std::shared_ptr<const void> owner() const { return block_; }

 private:
  struct Block {
    Block(Device& d, profiles::Bytes s, MemoryTerm t, Queue first_user)
        : device(d), size(s), term(t), memory(d.allocate(s, t, first_user)) {}
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
  kernels::ElementType type_ = kernels::ElementType::F32;
};

}  // namespace meshplan::runtime
