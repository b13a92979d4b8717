#pragma once
#include "kernels/bf16.h"
#include "kernels/tensor_view.h"

namespace meshplan::kernels::reference {

/// Element (r, c) as a double.
inline double at(const ConstTensorView& view, std::int64_t r, std::int64_t c) {
  const std::int64_t i = r * view.row_stride + c;
  if (view.type == ElementType::Bf16) return to_float(static_cast<const Bf16*>(view.data)[i]);
  return static_cast<const float*>(view.data)[i];
}

/// Stores to element (r, c), rounded once to fp32, and from there to bf16 if that is the storage.
inline void store(const TensorView& view, std::int64_t r, std::int64_t c, double value) {
  const std::int64_t i = r * view.row_stride + c;
  if (view.type == ElementType::Bf16)
    static_cast<Bf16*>(view.data)[i] = to_bf16(static_cast<float>(value));
  else
    static_cast<float*>(view.data)[i] = static_cast<float>(value);
}

/// Adds to element (r, c).
inline void add(const TensorView& view, std::int64_t r, std::int64_t c, double value) {
  store(view, r, c, at(view, r, c) + value);
}

}  // namespace meshplan::kernels::reference
