#pragma once
#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/cpu/kernels.h"
#include "kernels/tensor_view.h"

/// Loops are written once, as `static void run(...)` of a body, and compiled for every instruction
/// set: the body is inlined into a function with that target. Whatever a body calls inside a loop
/// must be MESHPLAN_INLINE, or it stays at the baseline.
#define MESHPLAN_INLINE [[gnu::always_inline]] inline

#if defined(__x86_64__)
#define MESHPLAN_AVX2 [[gnu::target("avx2,fma,bmi2")]]
#if defined(__clang__)
#define MESHPLAN_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,fma,bmi2")]]
#else
#define MESHPLAN_AVX512 \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,fma,bmi2,prefer-vector-width=512")]]
#endif
#else
#define MESHPLAN_AVX2
#define MESHPLAN_AVX512
#endif

namespace meshplan::kernels::cpu {

template <class Body, class... Arguments>
void run_baseline(Arguments... arguments) {
  Body::run(arguments...);
}
template <class Body, class... Arguments>
MESHPLAN_AVX2 void run_avx2(Arguments... arguments) {
  Body::run(arguments...);
}
template <class Body, class... Arguments>
MESHPLAN_AVX512 void run_avx512(Arguments... arguments) {
  Body::run(arguments...);
}

/// Runs the body as compiled for `set`.
template <class Body, class... Arguments>
void vectorised(InstructionSet set, Arguments... arguments) {
  switch (set) {
    case InstructionSet::Avx512:
      return run_avx512<Body>(arguments...);
    case InstructionSet::Avx2:
      return run_avx2<Body>(arguments...);
    case InstructionSet::Baseline:
      return run_baseline<Body>(arguments...);
  }
}

MESHPLAN_INLINE float load(float value) { return value; }
MESHPLAN_INLINE float load(Bf16 value) { return to_float(value); }

template <class T>
MESHPLAN_INLINE T rounded(float value) {
  if constexpr (sizeof(T) == 2)
    return to_bf16(value);
  else
    return value;
}

/// A view whose type is known.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;

  MESHPLAN_INLINE T* row(std::int64_t r) const { return data + r * stride; }
};

template <class T>
Matrix<T> matrix(const TensorView& view) {
  return {static_cast<T*>(view.data), view.rows, view.cols, view.row_stride};
}
template <class T>
Matrix<const T> matrix(const ConstTensorView& view) {
  return {static_cast<const T*>(view.data), view.rows, view.cols, view.row_stride};
}

/// Calls `visit` with a value of the storage type.
template <class Visit>
void with_type(ElementType type, Visit visit) {
  if (type == ElementType::Bf16)
    visit(Bf16{});
  else
    visit(float{});
}

/// One long row in place of contiguous rows: short rows lose most of their time at the ends.
template <class Pointer>
BasicTensorView<Pointer> one_row(const BasicTensorView<Pointer>& view) {
  return {view.data, 1, view.elements(), view.elements(), view.type};
}

}  // namespace meshplan::kernels::cpu
