#include <cmath>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/rotary.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

struct FillTable {
  double theta;
  std::int64_t first_position, positions, half;
  float* cosine;
  float* sine;
  std::int64_t cosine_stride, sine_stride;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
#if !defined(__CUDA_ARCH__)
    using std::cos, std::pow, std::sin;
#endif
    group.each([&](int lane) {
      for (std::int64_t i = std::int64_t{group.index()} * G::lanes + lane; i < positions * half;
           i += std::int64_t{group.count()} * G::lanes) {
        const std::int64_t p = i / half, column = i % half;
        const double angle = static_cast<double>(first_position + p) *
                             pow(theta, -static_cast<double>(column) / static_cast<double>(half));
        cosine[p * cosine_stride + column] = static_cast<float>(cos(angle));
        sine[p * sine_stride + column] = static_cast<float>(sin(angle));
      }
    });
  }
};

/// A unit of work is a chunk of the first half of a head with its partners in the second, or, past
/// rotary_dim, a chunk that is copied.
template <int kWidth>
struct Rotate {
  Input x;
  Output y;
  Input cosine, sine;
  std::int64_t head_dim, half;
  std::int64_t sequence_len, first_position;
  float sign;
  bool aligned;
  std::uint32_t units;
  std::uint32_t rotated;  ///< units of a head that rotate; the others copy
  Divider of_row, of_head;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    group.each([&](int lane) {
      for (std::uint32_t i = group.index() * G::lanes + static_cast<std::uint32_t>(lane); i < units;
           i += group.count() * G::lanes) {
        const std::uint32_t row = of_row.quotient(i);
        const std::uint32_t within = i - row * of_row.divisor;
        const std::uint32_t head = of_head.quotient(within);
        const std::uint32_t unit = within - head * of_head.divisor;
        const std::int64_t first = head * head_dim;
        if (unit < rotated)
          rotate(row, first, std::int64_t{unit} * kWidth);
        else
          copy(row, first, 2 * half + std::int64_t{unit - rotated} * kWidth);
      }
    });
  }

  MESHPLAN_DEVICE static int end_of(std::int64_t rest) {
    return rest < kWidth ? static_cast<int>(rest) : kWidth;
  }

  MESHPLAN_DEVICE void rotate(std::int64_t row, std::int64_t first, std::int64_t i) const {
    const int end = end_of(half - i);
    const Place at_a{row, first + i, 0, end}, at_b{row, first + half + i, 0, end};
    const Words of_a = load<kWidth>(x, at_a, aligned), of_b = load<kWidth>(x, at_b, aligned);
    const Place in_table{first_position + row % sequence_len, i, 0, end};
    float c[kWidth], s[kWidth], a[kWidth], b[kWidth];
    load_parameter<kWidth>(cosine, in_table, aligned, c);
    load_parameter<kWidth>(sine, in_table, aligned, s);
    unpack<kWidth>(of_a, x.type, a);
    unpack<kWidth>(of_b, x.type, b);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float rotated_a = a[k] * c[k] - b[k] * (sign * s[k]);
      b[k] = b[k] * c[k] + a[k] * (sign * s[k]);
      a[k] = rotated_a;
    }
    store<kWidth>(y, at_a, aligned, a);
    store<kWidth>(y, at_b, aligned, b);
  }

  MESHPLAN_DEVICE void copy(std::int64_t row, std::int64_t first, std::int64_t i) const {
    const Place place{row, first + i, 0, end_of(head_dim - i)};
    float values[kWidth];
    load_floats<kWidth>(x, place, aligned, values);
    store<kWidth>(y, place, aligned, values);
  }
};

}  // namespace

void run(const RotaryTable& op, Queue& queue) {
  check_shapes(op);
  issue<kMapLanes>(queue, ceiling_of_quotient(op.cosine.elements(), kMapLanes),
                   FillTable{op.theta, op.first_position, op.cosine.rows, op.cosine.cols,
                             static_cast<float*>(op.cosine.data), static_cast<float*>(op.sine.data),
                             op.cosine.row_stride, op.sine.row_stride});
}

void run(const Rotary& op, Queue& queue) {
  check_shapes(op);
  const std::int64_t half = op.cosine.cols, rest = op.head_dim - 2 * half;
  const int width = chunk_width({op.x, op.y});
  // Halves and heads must begin at whole chunks too.
  const bool aligned = half % width == 0 && op.head_dim % width == 0 &&
                       chunks_aligned(op.x, width) && chunks_aligned(op.y, width) &&
                       chunks_aligned(op.cosine, width) && chunks_aligned(op.sine, width);
  const std::int64_t rotated = ceiling_of_quotient(half, width);
  const std::int64_t of_head = rotated + ceiling_of_quotient(rest, width);
  const std::int64_t of_row = op.x.cols / op.head_dim * of_head;
  if (of_row > kMostChunks || (of_row > 0 && op.x.rows > kMostChunks / of_row))
    throw std::invalid_argument("rotary: expected fewer than 2^31 chunks");
  const std::int64_t units = op.x.rows * of_row;
  if (units == 0) return;
  const auto rotate = [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    issue<kMapLanes>(
        queue, ceiling_of_quotient(units, kMapLanes),
        Rotate<kWidth>{op.x, op.y, op.cosine, op.sine, op.head_dim, half, op.sequence_len,
                       op.first_position, op.inverse ? -1.0F : 1.0F, aligned,
                       static_cast<std::uint32_t>(units), static_cast<std::uint32_t>(rotated),
                       Divider(of_row), Divider(of_head)});
  };
  if (width == 8)
    rotate(std::integral_constant<int, 8>{});
  else
    rotate(std::integral_constant<int, 4>{});
}

}  // namespace meshplan::kernels::cuda
