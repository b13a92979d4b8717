#include "kernels/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"
#include "kernels/dropout.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

/// Two groups.
constexpr std::int64_t kColumnsAtOnce = 2 * kRandomGroup;

/// Calls visit(row, group, first column of the view, offset in the group, columns) over a shard,
/// which may begin and end inside a group of kGroup columns. The size of a whole group is a
/// constant.
template <std::int64_t kGroup, class Visit>
MESHPLAN_INLINE void for_each_group(std::int64_t rows, std::int64_t cols, std::int64_t first_column,
                                    Visit visit) {
  const std::int64_t begin = first_column / kGroup;
  const std::int64_t end = (first_column + cols + kGroup - 1) / kGroup;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t group = begin; group < end; ++group) {
      const std::int64_t column = group * kGroup - first_column;
      if (column >= 0 && column + kGroup <= cols) {
        visit(r, group, column, std::int64_t{0}, std::integral_constant<std::int64_t, kGroup>{});
      } else {
        const std::int64_t from = std::max<std::int64_t>(column, 0);
        visit(r, group, from, from - column, std::min(column + kGroup, cols) - from);
      }
    }
  }
}

/// y[c] = words[c] >= threshold ? factor * x[c] : 0
template <class Size>
MESHPLAN_INLINE void drop_columns(const float* x, float* y, const std::uint32_t* words,
                                  std::uint32_t threshold, float factor, Size size) {
#pragma omp simd
  for (std::int64_t c = 0; c < size; ++c) y[c] = words[c] >= threshold ? factor * x[c] : 0.0F;
}
/// In two loops, so that products are rounded two columns at once.
template <class Size>
MESHPLAN_INLINE void drop_columns(const Bf16* x, Bf16* y, const std::uint32_t* words,
                                  std::uint32_t threshold, float factor, Size size) {
  alignas(64) Bf16 products[kColumnsAtOnce];
  for_each_column<Bf16>(
      0, size, [&](auto at) __attribute__((always_inline)) {
        at.store(products, factor * at.load(x));
      });
#pragma omp simd
  for (std::int64_t c = 0; c < size; ++c)
    y[c].bits = words[c] >= threshold ? products[c].bits : std::uint16_t{0};
}

struct DropRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<T> y, std::uint32_t threshold,
                                  float factor, RandomKey key, std::int64_t first_row,
                                  std::int64_t first_column) {
    for_each_group<kColumnsAtOnce>(
        x.rows, x.cols, first_column,
        [&](std::int64_t r, std::int64_t pair, std::int64_t column, std::int64_t offset, auto size)
            __attribute__((always_inline)) {
              alignas(64) std::uint32_t words[kColumnsAtOnce];
              draw_two(key, static_cast<std::uint64_t>(first_row + r), pair, words);
              drop_columns(x.row(r) + column, y.row(r) + column, words + offset, threshold, factor,
                           size);
            });
  }
};

/// sqrt(-2 log((radius_word + 1) 2^-32)) cos(2 pi angle_word 2^-32), absolute error below 1e-6.
MESHPLAN_INLINE float standard_normal(std::uint32_t radius_word, std::uint32_t angle_word) {
  // u = (word + 1) 2^-32 and v = 1 - u, each without cancellation. log u = e log 2 - 2 atanh(s)
  // with s = (1 - m) / (1 + m) and u = 2^e m; from u = 1/2 on, e = 0 and m = u, so that s = v / (2
  // - v).
  const float u = (static_cast<float>(radius_word) + 1.0F) * 0x1p-32F;
  const float v = static_cast<float>(~radius_word) * 0x1p-32F;
  const auto bits = std::bit_cast<std::int32_t>(u);
  const std::int32_t exponent = (bits - 0x3F3504F3) >> 23;  // m in [sqrt(1/2), sqrt(2))
  const float m = std::bit_cast<float>(bits - exponent * (1 << 23));
  const bool upper = v <= 0.5F;
  const float e = upper ? 0.0F : static_cast<float>(exponent);
  const float s = (upper ? v : 1.0F - m) / (upper ? 2.0F - v : 1.0F + m);
  const float square = s * s;  // at most 1/9: the series ends with s^15 / 15
  float atanh = 1.0F / 15.0F;
  atanh = atanh * square + 1.0F / 13.0F;
  atanh = atanh * square + 1.0F / 11.0F;
  atanh = atanh * square + 1.0F / 9.0F;
  atanh = atanh * square + 1.0F / 7.0F;
  atanh = atanh * square + 1.0F / 5.0F;
  atanh = atanh * square + 1.0F / 3.0F;
  atanh = atanh * square + 1.0F;
  const float minus_log = 2.0F * s * atanh - e * 0.693147181F;
  const float radius = std::sqrt(2.0F * minus_log);

  // With t in [-1/2, 1/2) the turns less a half: cos = -cos(2 pi t) = sin(2 pi (|t| - 1/4)), and
  // the argument x of the sine lies in [-pi/2, pi/2], where its series is cut off after x^13.
  const float turns =
      static_cast<float>(static_cast<std::int32_t>(angle_word ^ 0x80000000U)) * 0x1p-32F;
  const float x = 6.28318531F * ((turns < 0 ? -turns : turns) - 0.25F);
  const float xx = x * x;
  float sine = 1.0F / 6227020800.0F;
  sine = sine * xx - 1.0F / 39916800.0F;
  sine = sine * xx + 1.0F / 362880.0F;
  sine = sine * xx - 1.0F / 5040.0F;
  sine = sine * xx + 1.0F / 120.0F;
  sine = sine * xx - 1.0F / 6.0F;
  sine = sine * xx + 1.0F;
  return radius * x * sine;
}

struct NormalRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<T> y, float mean, float stddev, RandomKey key,
                                  RandomKey angle_key, std::int64_t first_row,
                                  std::int64_t first_column) {
    for_each_group<kRandomGroup>(
        y.rows, y.cols, first_column,
        [&](std::int64_t r, std::int64_t group, std::int64_t column, std::int64_t offset,
            auto size) __attribute__((always_inline)) {
          alignas(64) std::uint32_t radii[kRandomGroup], angles[kRandomGroup];
          const auto row = static_cast<std::uint64_t>(first_row + r);
          draw(key, row, group, radii);
          draw(angle_key, row, group, angles);
          T* out = y.row(r) + column;
#pragma omp simd
          for (std::int64_t c = 0; c < size; ++c)
            out[c] =
                rounded<T>(mean + stddev * standard_normal(radii[offset + c], angles[offset + c]));
        });
  }
};

}  // namespace

void run(const Dropout& op, Queue& queue) {
  check_shapes(op);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<DropRows>(queue.state().instruction_set, matrix<T>(op.x), matrix<T>(op.y),
                         dropout_threshold(op.probability), 1.0F / (1.0F - op.probability), op.key,
                         op.first_row, op.first_column);
  });
}

void run(const NormalFill& op, Queue& queue) {
  check_shapes(op);
  const RandomKey angle_key{op.key.seed ^ (std::uint64_t{1} << 63), op.key.stream};
  with_type(op.y.type, [&]<class T>(T) {
    vectorised<NormalRows>(queue.state().instruction_set, matrix<T>(op.y), op.mean, op.stddev,
                           op.key, angle_key, op.first_row, op.first_column);
  });
}

}  // namespace meshplan::kernels::cpu
