#pragma once
#include <span>

#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// cosine[p,i] = cos((first_position + p) * theta^(-2 i / rotary_dim)), sine alike
///
/// cosine, sine [positions, rotary_dim / 2] F32, contiguous
/// Written once for the longest sequence; angles in double, so position 10^6 keeps its digits.
/// Tolerance: 1e-7.
struct RotaryTable {
  double theta = 10000.0;
  std::int64_t first_position = 0;
  TensorView cosine, sine;
};

/// Rotates, in every head, the pair (x[i], x[i + rotary_dim/2]) by the angle of its position:
///   y[i]                = x[i] cos - x[i + rotary_dim/2] sin
///   y[i + rotary_dim/2] = x[i + rotary_dim/2] cos + x[i] sin
/// The columns of a head beyond rotary_dim are copied. Halves are paired as in GPT-NeoX and Llama.
///
/// x, y [batch * sequence_len, heads * head_dim]   may be the same memory
/// Row r has position first_position + r % sequence_len, which is a row of the tables.
/// inverse: by minus the angle, which is the backward.
/// Tolerance: 1e-6 * (1 + |pair|). Source: Su et al., arXiv 2104.09864.
struct Rotary {
  ConstTensorView x;
  TensorView y;
  ConstTensorView cosine, sine;
  std::int64_t head_dim = 0;
  std::int64_t sequence_len = 0;
  std::int64_t first_position = 0;
  bool inverse = false;
};

constexpr std::int64_t bytes_moved(const RotaryTable& op) {
  return op.cosine.bytes() + op.sine.bytes();
}

/// The tables are read once a sequence and counted once: they stay in cache.
constexpr std::int64_t bytes_moved(const Rotary& op) {
  return op.x.bytes() + op.y.bytes() + 2 * 4 * op.sequence_len * op.cosine.cols;
}

}  // namespace meshplan::kernels
