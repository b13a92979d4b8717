#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "kernels/operation.h"
#include "tests/kernels/arena.h"

namespace meshplan::kernels::testing {

/// Memory that the host cannot read: a device's, or, to test this file, other memory of the host.
struct FarMemory {
  std::function<std::byte*(std::size_t bytes)> allocate;
  std::function<void(std::byte* memory)> release;
  std::function<void(std::byte* far, std::span<const std::byte> near)> upload;
  std::function<void(std::span<std::byte> near, const std::byte* far)> download;
};

/// A copy of an arena in far memory.
class Relocated {
 public:
  Relocated(Arena& arena, const FarMemory& far);
  ~Relocated();
  Relocated(const Relocated&) = delete;
  Relocated& operator=(const Relocated&) = delete;

  /// The operation with every pointer into the arena exchanged for one into the copy.
  [[nodiscard]] Operation moved(Operation operation) const;

  /// Copies the memory back into the arena.
  void fetch() const;

 private:
  struct Block {
    std::span<std::byte> near;
    std::byte* far = nullptr;
  };

  template <class T>
  T* far_address(T* near) const;

  FarMemory far_;
  std::vector<Block> blocks_;
};

}  // namespace meshplan::kernels::testing
