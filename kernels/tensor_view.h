#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace meshplan::kernels {

// The contracts of the kernels. One header an operation (gemm.h, layer_norm.h, ...): a struct of
// arguments, its equation, shapes, bytes moved and tolerance. Each back end (reference, cpu, cuda)
// implements
//     void run(const LayerNormForward&, Queue&);
// for every struct, in its own namespace with its own Queue. operation.h gathers the structs in one
// variant, so that a device needs one entry point. shape_check.h refuses arguments that do not fit.
//
// Conventions, unless a contract says otherwise
// - Tensors are matrices: rows are tokens, [batch, sequence] flattened, sequence fastest; columns
//   are features. Any partition of rows or columns over ranks is a view of the same kind.
// - Arithmetic and reductions are fp32 or wider whatever the storage; the reference uses double.
// - Activations of one operation share a storage type. Parameters (gamma, bias) may have another.
//   Gradients of parameters are F32 and are added to what is there.
// - A tolerance is that of fp32 storage; bf16 adds 2^-7 relative, the distance of neighbours.
// - An output may be the same memory as an input of equal shape only where the contract says so.
// - The result depends on the arguments alone: sums run in a fixed order, not in that of threads.

enum class ElementType : std::uint8_t { F32, Bf16 };

constexpr std::int64_t size_in_bytes(ElementType type) { return type == ElementType::F32 ? 4 : 2; }

/// A matrix in the memory of a device: element (r, c) lies at data[r * row_stride + c].
/// `Pointer` is void* or const void*; strides count elements, not bytes.
template <class Pointer>
struct BasicTensorView {
  Pointer data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t row_stride = 0;
  ElementType type = ElementType::F32;

  constexpr bool empty() const { return data == nullptr; }
  constexpr std::int64_t elements() const { return rows * cols; }
  /// Bytes of the elements themselves, without the gaps between rows.
  constexpr std::int64_t bytes() const { return elements() * size_in_bytes(type); }
  constexpr bool contiguous() const { return rows <= 1 || row_stride == cols; }

  constexpr operator BasicTensorView<const void*>() const
      requires(!std::is_same_v<Pointer, const void*>) {
    return {data, rows, cols, row_stride, type};
  }

  bool operator==(const BasicTensorView&) const = default;
};

using TensorView = BasicTensorView<void*>;
using ConstTensorView = BasicTensorView<const void*>;

/// Contiguous [rows, cols] of floats.
constexpr TensorView matrix_view(float* data, std::int64_t rows, std::int64_t cols) {
  return {data, rows, cols, cols, ElementType::F32};
}
constexpr ConstTensorView matrix_view(const float* data, std::int64_t rows, std::int64_t cols) {
  return {data, rows, cols, cols, ElementType::F32};
}

/// A parameter vector is a matrix of one row.
constexpr TensorView vector_view(float* data, std::int64_t size) {
  return matrix_view(data, 1, size);
}
constexpr ConstTensorView vector_view(const float* data, std::int64_t size) {
  return matrix_view(data, 1, size);
}

namespace detail {
template <class Pointer>
Pointer advanced(const BasicTensorView<Pointer>& view, std::int64_t elements) {
  using Byte = std::conditional_t<std::is_same_v<Pointer, void*>, std::byte, const std::byte>;
  return static_cast<Byte*>(view.data) + elements * size_in_bytes(view.type);
}
}  // namespace detail

/// Columns [first, first + count): a shard of a column-parallel weight, q of a fused q|k|v.
template <class Pointer>
BasicTensorView<Pointer> columns(const BasicTensorView<Pointer>& view, std::int64_t first,
                                 std::int64_t count) {
  return {detail::advanced(view, first), view.rows, count, view.row_stride, view.type};
}

/// Rows [first, first + count): a shard of a row-parallel weight, the tokens of one sequence.
template <class Pointer>
BasicTensorView<Pointer> rows(const BasicTensorView<Pointer>& view, std::int64_t first,
                              std::int64_t count) {
  return {detail::advanced(view, first * view.row_stride), count, view.cols, view.row_stride,
          view.type};
}

}  // namespace meshplan::kernels
