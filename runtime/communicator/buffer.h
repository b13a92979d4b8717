#pragma once
#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

#include "kernels/bf16.h"
#include "kernels/tensor_view.h"

namespace meshplan::runtime {

/// Elements of one type, side by side in the memory of a device; the host's for CPU ranks.
/// `Pointer` is void* or const void*. Floats and Bf16 of the host convert by themselves.
template <class Pointer>
struct BasicBuffer {
  Pointer data = nullptr;
  std::size_t count = 0;
  kernels::ElementType type = kernels::ElementType::F32;

  constexpr BasicBuffer() = default;
  constexpr BasicBuffer(Pointer d, std::size_t n, kernels::ElementType t)
      : data(d), count(n), type(t) {}

  template <class Range, class Element = std::remove_pointer_t<decltype(std::data(
                             std::declval<std::remove_reference_t<Range>&>()))>>
  requires(std::is_convertible_v<Element*, Pointer> &&
           (std::is_same_v<std::remove_const_t<Element>, float> ||
            std::is_same_v<std::remove_const_t<Element>,
                           kernels::Bf16>)) constexpr BasicBuffer(Range&& range)
      : data(std::data(range)),
        count(std::size(range)),
        type(std::is_same_v<std::remove_const_t<Element>, float> ? kernels::ElementType::F32
                                                                 : kernels::ElementType::Bf16) {}

  constexpr operator BasicBuffer<const void*>() const
      requires(!std::is_same_v<Pointer, const void*>) {
    return {data, count, type};
  }

  [[nodiscard]] constexpr bool empty() const { return count == 0; }
  [[nodiscard]] constexpr std::size_t bytes() const {
    return count * static_cast<std::size_t>(kernels::size_in_bytes(type));
  }
  /// Elements [first, first + n).
  [[nodiscard]] constexpr BasicBuffer part(std::size_t first, std::size_t n) const {
    using Byte = std::conditional_t<std::is_same_v<Pointer, void*>, std::byte, const std::byte>;
    const std::size_t size = static_cast<std::size_t>(kernels::size_in_bytes(type));
    return {static_cast<Byte*>(data) + first * size, n, type};
  }
  friend constexpr bool operator==(const BasicBuffer&, const BasicBuffer&) = default;
};

using Buffer = BasicBuffer<void*>;
using ConstBuffer = BasicBuffer<const void*>;

}  // namespace meshplan::runtime
