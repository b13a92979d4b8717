#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/tensor_view.h"

// Bodies of kernels are written once: nvcc compiles them for the device, and a C++ compiler for the
// host, where tests run the very same index arithmetic against the reference (group.h, launch.h).
#if defined(__CUDACC__)
#include <cuda_bf16.h>
#define MESHPLAN_DEVICE __device__ __forceinline__
#else
#define MESHPLAN_DEVICE inline
#endif

namespace meshplan::kernels::cuda {

/// A matrix as a kernel sees it; see BasicTensorView.
template <class Pointer>
struct Operand {
  Pointer data = nullptr;
  std::int64_t row_stride = 0;
  ElementType type = ElementType::F32;

  Operand() = default;
  Operand(const BasicTensorView<Pointer>& view)
      : data(view.data), row_stride(view.row_stride), type(view.type) {}
};
using Input = Operand<const void*>;
using Output = Operand<void*>;

/// To read what an output holds.
MESHPLAN_DEVICE Input as_input(const Output& y) {
  Input x;
  x.data = y.data;
  x.row_stride = y.row_stride;
  x.type = y.type;
  return x;
}

/// A chunk: columns [column + begin, column + end) of a row, 0 <= begin <= end <= its width.
struct Place {
  std::int64_t row = 0;
  std::int64_t column = 0;
  int begin = 0;
  int end = 0;
};

/// A chunk of neighbouring elements as they lie in memory.
struct alignas(16) Words {
  std::uint32_t word[4] = {0, 0, 0, 0};
};

/// Chunks are 4 elements wide, or 8 where all operands are bf16: 16 bytes an access of the widest
/// type. kWidth 8 implies bf16; kWidth 4 leaves the type to each operand, a branch that all threads
/// take alike.
template <int kWidth>
MESHPLAN_DEVICE constexpr bool is_bf16(ElementType type) {
  static_assert(kWidth == 4 || kWidth == 8);
  return kWidth == 8 || type == ElementType::Bf16;
}

namespace detail {

template <class T>
MESHPLAN_DEVICE T read(const void* address) {
#if defined(__CUDA_ARCH__)
  return *static_cast<const T*>(address);
#else
  T value;
  std::memcpy(&value, address, sizeof(T));
  return value;
#endif
}

MESHPLAN_DEVICE Words read16(const void* address) {
#if defined(__CUDA_ARCH__)
  const uint4 v = *static_cast<const uint4*>(address);
  return {{v.x, v.y, v.z, v.w}};
#else
  return read<Words>(address);
#endif
}

MESHPLAN_DEVICE Words read8(const void* address) {
#if defined(__CUDA_ARCH__)
  const uint2 v = *static_cast<const uint2*>(address);
  return {{v.x, v.y, 0, 0}};
#else
  Words words;
  std::memcpy(words.word, address, 8);
  return words;
#endif
}

template <class T>
MESHPLAN_DEVICE void write(void* address, const T& value) {
#if defined(__CUDA_ARCH__)
  *static_cast<T*>(address) = value;
#else
  std::memcpy(address, &value, sizeof(T));
#endif
}

MESHPLAN_DEVICE void write16(void* address, const Words& words) {
#if defined(__CUDA_ARCH__)
  *static_cast<uint4*>(address) =
      make_uint4(words.word[0], words.word[1], words.word[2], words.word[3]);
#else
  write(address, words);
#endif
}

MESHPLAN_DEVICE void write8(void* address, const Words& words) {
#if defined(__CUDA_ARCH__)
  *static_cast<uint2*>(address) = make_uint2(words.word[0], words.word[1]);
#else
  std::memcpy(address, words.word, 8);
#endif
}

MESHPLAN_DEVICE float from_bits(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

MESHPLAN_DEVICE std::uint32_t bits_of(float value) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(value);
#else
  return std::bit_cast<std::uint32_t>(value);
#endif
}

/// Two bf16 in a word, the first in the low half.
MESHPLAN_DEVICE std::uint32_t packed(float low, float high) {
#if defined(__CUDA_ARCH__)
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  std::uint32_t bits;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
#else
  return std::uint32_t{to_bf16(low).bits} | std::uint32_t{to_bf16(high).bits} << 16;
#endif
}

MESHPLAN_DEVICE const char* address(const Input& x, std::int64_t index, std::int64_t size) {
  return static_cast<const char*>(x.data) + index * size;
}
MESHPLAN_DEVICE char* address(const Output& y, std::int64_t index, std::int64_t size) {
  return static_cast<char*>(y.data) + index * size;
}

}  // namespace detail

/// One element as fp32.
MESHPLAN_DEVICE float load_element(const Input& x, std::int64_t index) {
  if (x.type == ElementType::Bf16)
    return detail::from_bits(
        std::uint32_t{detail::read<std::uint16_t>(detail::address(x, index, 2))} << 16);
  return detail::read<float>(detail::address(x, index, 4));
}

MESHPLAN_DEVICE void store_element(const Output& y, std::int64_t index, float value) {
  if (y.type == ElementType::Bf16)
    detail::write(detail::address(y, index, 2),
                  static_cast<std::uint16_t>(detail::packed(value, 0.0F)));
  else
    detail::write(detail::address(y, index, 4), value);
}

/// The chunk at `place`; elements outside [begin, end) read as 0. `aligned`: whole chunks of every
/// operand lie on their own size, so that they move in one access.
template <int kWidth>
MESHPLAN_DEVICE Words load(const Input& x, const Place& place, bool aligned) {
  const std::int64_t index = place.row * x.row_stride + place.column;
  const bool whole = aligned && place.begin == 0 && place.end == kWidth;
  if (is_bf16<kWidth>(x.type)) {
    if (whole) {
      if constexpr (kWidth == 8)
        return detail::read16(detail::address(x, index, 2));
      else
        return detail::read8(detail::address(x, index, 2));
    }
    Words words;
#pragma unroll
    for (int i = 0; i < kWidth; ++i)
      if (i >= place.begin && i < place.end)
        words.word[i / 2] |=
            std::uint32_t{detail::read<std::uint16_t>(detail::address(x, index + i, 2))}
            << (16 * (i % 2));
    return words;
  }
  if (whole) return detail::read16(detail::address(x, index, 4));
  Words words;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (i >= place.begin && i < place.end)
      words.word[i] = detail::read<std::uint32_t>(detail::address(x, index + i, 4));
  return words;
}

/// values[i] = element i of the chunk.
template <int kWidth>
MESHPLAN_DEVICE void unpack(const Words& words, ElementType type, float (&values)[kWidth]) {
  if (is_bf16<kWidth>(type)) {
#pragma unroll
    for (int i = 0; i < kWidth; i += 2) {
      values[i] = detail::from_bits(words.word[i / 2] << 16);
      values[i + 1] = detail::from_bits(words.word[i / 2] & 0xFFFF0000U);
    }
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = detail::from_bits(words.word[i]);
  }
}

/// Loads and unpacks.
template <int kWidth>
MESHPLAN_DEVICE void load_floats(const Input& x, const Place& place, bool aligned,
                                 float (&values)[kWidth]) {
  unpack<kWidth>(load<kWidth>(x, place, aligned), x.type, values);
}

/// Loads from an operand that may be wider than the chunk's: fp32 parameters of bf16 activations.
template <int kWidth>
MESHPLAN_DEVICE void load_parameter(const Input& x, const Place& place, bool aligned,
                                    float (&values)[kWidth]) {
  if constexpr (kWidth == 8) {
    if (x.type == ElementType::F32) {
      if (aligned && place.begin == 0 && place.end == kWidth) {
        const std::int64_t index = place.row * x.row_stride + place.column;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const Words words = detail::read16(detail::address(x, index + 4 * half, 4));
#pragma unroll
          for (int i = 0; i < 4; ++i) values[4 * half + i] = detail::from_bits(words.word[i]);
        }
      } else {
#pragma unroll
        for (int i = 0; i < kWidth; ++i)
          values[i] = i >= place.begin && i < place.end
                          ? load_element(x, place.row * x.row_stride + place.column + i)
                          : 0.0F;
      }
      return;
    }
  }
  load_floats<kWidth>(x, place, aligned, values);
}

/// Stores elements [begin, end) of the chunk, rounded to the type of `y`.
template <int kWidth>
MESHPLAN_DEVICE void store(const Output& y, const Place& place, bool aligned,
                           const float (&values)[kWidth]) {
  const std::int64_t index = place.row * y.row_stride + place.column;
  if (!(aligned && place.begin == 0 && place.end == kWidth)) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i)
      if (i >= place.begin && i < place.end) {
        if (is_bf16<kWidth>(y.type))
          detail::write(detail::address(y, index + i, 2),
                        static_cast<std::uint16_t>(detail::packed(values[i], 0.0F)));
        else
          detail::write(detail::address(y, index + i, 4), values[i]);
      }
    return;
  }
  Words words;
  if (is_bf16<kWidth>(y.type)) {
#pragma unroll
    for (int i = 0; i < kWidth; i += 2)
      words.word[i / 2] = detail::packed(values[i], values[i + 1]);
    if constexpr (kWidth == 8)
      detail::write16(detail::address(y, index, 2), words);
    else
      detail::write8(detail::address(y, index, 2), words);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) words.word[i] = detail::bits_of(values[i]);
    detail::write16(detail::address(y, index, 4), words);
  }
}

}  // namespace meshplan::kernels::cuda
