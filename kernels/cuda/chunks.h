#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "kernels/cuda/vector_access.h"
#include "kernels/tensor_view.h"

// How the elements of a matrix are cut into chunks, and these handed to threads. Host side.

namespace meshplan::kernels::cuda {

constexpr std::int64_t ceiling_of_quotient(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Division of numerators below 2^31 by a constant of the launch, without a division:
///   quotient = (n * multiplier) >> 32 >> shift
/// with shift = ceil(log2 d) - 1 and multiplier = ceil(2^(32 + shift) / d) < 2^32 (d = 1 apart).
/// Exact since the excess of the multiplier, e < d <= 2^(shift + 1), adds less than
/// n e / (d 2^(32 + shift)) < 1 / d to n / d.
/// Source: Granlund and Montgomery, PLDI 1994, theorem 4.2.
struct Divider {
  std::uint32_t divisor = 1;
  std::uint32_t multiplier = 0;
  std::uint32_t shift = 0;

  Divider() = default;
  explicit Divider(std::int64_t d) : divisor(static_cast<std::uint32_t>(d)) {
    if (d < 1 || d > 0x7FFFFFFF) throw std::invalid_argument("a divisor from 1 to 2^31 - 1");
    if (d == 1) return;
    while ((std::int64_t{2} << shift) < d) ++shift;
    multiplier = static_cast<std::uint32_t>(
        ((std::uint64_t{1} << (32 + shift)) + static_cast<std::uint64_t>(d) - 1) /
        static_cast<std::uint64_t>(d));
  }

  MESHPLAN_DEVICE std::uint32_t quotient(std::uint32_t n) const {
    if (divisor == 1) return n;
#if defined(__CUDA_ARCH__)
    return __umulhi(n, multiplier) >> shift;
#else
    return static_cast<std::uint32_t>((std::uint64_t{n} * multiplier) >> 32) >> shift;
#endif
  }
};

/// The chunks of a matrix, numbered row by row; fewer than 2^31.
struct Chunks {
  std::int64_t cols = 0;
  std::uint32_t count = 0;
  Divider per_row;
  int width = 4;
  bool aligned = false;

  template <int kWidth>
  MESHPLAN_DEVICE Place place(std::uint32_t chunk) const {
    const std::uint32_t row = per_row.quotient(chunk);
    const std::int64_t column = std::int64_t{chunk - row * per_row.divisor} * kWidth;
    const std::int64_t rest = cols - column;
    return {row, column, 0, rest < kWidth ? static_cast<int>(rest) : kWidth};
  }
};

/// Chunks a kernel may number: those whose index plus a grid's stride stays in 32 bits.
inline constexpr std::int64_t kMostChunks = (std::int64_t{1} << 31) - 1;

/// Whether chunks of `width` elements of the view lie on their own size in bytes; wider parameters
/// (fp32 beside bf16) are read 16 bytes at a time.
inline bool chunks_aligned(const ConstTensorView& view, int width) {
  if (view.empty()) return true;
  const std::int64_t bytes = std::min<std::int64_t>(width * size_in_bytes(view.type), 16);
  return reinterpret_cast<std::uintptr_t>(view.data) % static_cast<std::uintptr_t>(bytes) == 0 &&
         (view.rows <= 1 || view.row_stride * size_in_bytes(view.type) % bytes == 0);
}

/// 8 if all are bf16, else 4.
inline int chunk_width(std::initializer_list<ConstTensorView> activations) {
  for (const ConstTensorView& view : activations)
    if (!view.empty() && view.type != ElementType::Bf16) return 4;
  return 8;
}

/// Chunks of a [rows, cols] matrix whose operands are `activations` (which set the width) and
/// `parameters` (which must be aligned too).
inline Chunks chunks_of(std::int64_t rows, std::int64_t cols,
                        std::initializer_list<ConstTensorView> activations,
                        std::initializer_list<ConstTensorView> parameters = {}) {
  Chunks chunks;
  chunks.cols = cols;
  chunks.width = chunk_width(activations);
  chunks.aligned = true;
  for (const auto& list : {activations, parameters})
    for (const ConstTensorView& view : list)
      chunks.aligned = chunks.aligned && chunks_aligned(view, chunks.width);
  const std::int64_t per_row = ceiling_of_quotient(cols, chunks.width);
  if (per_row > kMostChunks || (per_row > 0 && rows > kMostChunks / per_row))
    throw std::invalid_argument("a matrix of fewer than 2^31 chunks, found " +
                                std::to_string(rows) + " rows of " + std::to_string(per_row));
  chunks.count = static_cast<std::uint32_t>(rows * per_row);
  chunks.per_row = Divider(std::max<std::int64_t>(per_row, 1));
  return chunks;
}

}  // namespace meshplan::kernels::cuda
