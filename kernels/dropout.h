#pragma once
#include "kernels/random.h"
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// y[r,c] = keep(r,c) ? x[r,c] / (1 - probability) : 0
/// keep(r,c) = random_word(key, first_row + r, first_column + c) >= probability * 2^32
///
/// x, y [rows, cols]   may be the same memory
/// first_row, first_column: where the shard lies in the whole tensor, so that every layout drops
/// the same elements. Backward is the same operation on the gradient: no mask is stored.
/// 0 <= probability < 1.
/// Tolerance: exact to the rounding of y.
struct Dropout {
  ConstTensorView x;
  TensorView y;
  float probability = 0.0F;
  RandomKey key{};
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
};

/// A word is dropped iff it is below this.
constexpr std::uint32_t dropout_threshold(float probability) {
  return static_cast<std::uint32_t>(static_cast<double>(probability) * 4294967296.0);
}

constexpr std::int64_t bytes_moved(const Dropout& op) { return op.x.bytes() + op.y.bytes(); }

}  // namespace meshplan::kernels
