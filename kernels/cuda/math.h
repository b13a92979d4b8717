#pragma once
#include <cmath>

#include "kernels/cuda/vector_access.h"

// fp32 functions: the device's own, each within 2 units of the last place; the host's in tests.

namespace meshplan::kernels::cuda {

#if defined(__CUDACC__)
MESHPLAN_DEVICE float exponential(float x) { return expf(x); }
MESHPLAN_DEVICE float logarithm(float x) { return logf(x); }
MESHPLAN_DEVICE float root(float x) { return sqrtf(x); }
MESHPLAN_DEVICE float reciprocal_root(float x) { return rsqrtf(x); }
/// a / b for 1 <= b; 0 for b above 2^126.
MESHPLAN_DEVICE float quotient(float a, float b) { return __fdividef(a, b); }
MESHPLAN_DEVICE float infinity() { return __int_as_float(0x7F800000); }
#else
inline float exponential(float x) { return std::exp(x); }
inline float logarithm(float x) { return std::log(x); }
inline float root(float x) { return std::sqrt(x); }
inline float reciprocal_root(float x) { return 1.0F / std::sqrt(x); }
inline float quotient(float a, float b) { return a / b; }
inline float infinity() { return HUGE_VALF; }
#endif

}  // namespace meshplan::kernels::cuda
