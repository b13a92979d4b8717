#include <cmath>
#include <numbers>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/dropout.h"
#include "kernels/random.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

/// Chunks of one draw: a call of threefry gives the words of four columns, 16 apart.
inline constexpr int kDrawn = 4;

/// A matrix cut along the groups of columns that are drawn together (random.h), which may begin
/// before its first column and end after its last. A unit of work is kWidth lanes of a group: four
/// chunks of kWidth columns, 16 apart.
struct Draws {
  std::int64_t cols = 0, first_row = 0, first_column = 0;
  std::int64_t first_group = 0;
  std::uint32_t count = 0;
  Divider per_row;
  int width = 4;
  bool aligned = false;

  template <int kWidth>
  struct Unit {
    std::int64_t row;
    std::uint64_t whole_row;   ///< of the whole tensor
    std::uint32_t first_lane;  ///< lane index of random.h
    std::int64_t column;       ///< of the view; may be negative
  };

  template <int kWidth>
  MESHPLAN_DEVICE Unit<kWidth> unit(std::uint32_t i) const {
    constexpr std::uint32_t kOfGroup = kRandomLanes / kWidth;
    const std::uint32_t row = per_row.quotient(i);
    const std::uint32_t within = i - row * per_row.divisor;
    const std::int64_t group = first_group + within / kOfGroup;
    const std::uint32_t lane = within % kOfGroup * kWidth;
    return {row, static_cast<std::uint64_t>(first_row + row),
            static_cast<std::uint32_t>(group * kRandomLanes + lane),
            group * kRandomGroup + lane - first_column};
  }

  /// Chunk `word` of a unit; empty where the view has no such column.
  template <int kWidth>
  MESHPLAN_DEVICE Place place(const Unit<kWidth>& unit, int word) const {
    const std::int64_t column = unit.column + word * kRandomLanes;
    const std::int64_t begin = column < 0 ? -column : 0, rest = cols - column;
    const std::int64_t end = rest < kWidth ? rest : kWidth;
    if (begin >= end) return {unit.row, 0, 0, 0};
    return {unit.row, column, static_cast<int>(begin), static_cast<int>(end)};
  }
};

/// words[i][w] of columns unit.column + 16 w + i.
template <int kWidth>
MESHPLAN_DEVICE void draw(RandomKey key, const Draws::Unit<kWidth>& unit,
                          std::uint32_t (&words)[kWidth][kDrawn]) {
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const std::array<std::uint32_t, 4> drawn =
        threefry(key, unit.whole_row, unit.first_lane + static_cast<std::uint32_t>(i));
    words[i][0] = std::get<0>(drawn);
    words[i][1] = std::get<1>(drawn);
    words[i][2] = std::get<2>(drawn);
    words[i][3] = std::get<3>(drawn);
  }
}

template <int kWidth>
struct Drop {
  Draws draws;
  Input x;
  Output y;
  RandomKey key;
  std::uint32_t threshold;
  float factor;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    group.each([&](int lane) {
      for (std::uint32_t i = group.index() * G::lanes + static_cast<std::uint32_t>(lane);
           i < draws.count; i += group.count() * G::lanes) {
        const Draws::Unit<kWidth> unit = draws.unit<kWidth>(i);
        Words loaded[kDrawn];
#pragma unroll
        for (int w = 0; w < kDrawn; ++w)
          loaded[w] = load<kWidth>(x, draws.place<kWidth>(unit, w), draws.aligned);
        std::uint32_t words[kWidth][kDrawn];
        draw<kWidth>(key, unit, words);
#pragma unroll
        for (int w = 0; w < kDrawn; ++w) {
          float values[kWidth];
          unpack<kWidth>(loaded[w], x.type, values);
#pragma unroll
          for (int c = 0; c < kWidth; ++c)
            values[c] = words[c][w] >= threshold ? values[c] * factor : 0.0F;
          store<kWidth>(y, draws.place<kWidth>(unit, w), draws.aligned, values);
        }
      }
    });
  }
};

/// Box-Muller in double: drawn once a run, and the same on every back end to the last digits.
MESHPLAN_DEVICE double standard_normal(std::uint32_t radius_word, std::uint32_t angle_word) {
#if !defined(__CUDA_ARCH__)
  using std::cos, std::log, std::sqrt;
#endif
  const double radius = sqrt(-2 * log((radius_word + 1.0) * 0x1p-32));
  return radius * cos(2 * std::numbers::pi * angle_word * 0x1p-32);
}

template <int kWidth>
struct DrawNormal {
  Draws draws;
  Output y;
  RandomKey key, angle_key;
  double mean, stddev;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    group.each([&](int lane) {
      for (std::uint32_t i = group.index() * G::lanes + static_cast<std::uint32_t>(lane);
           i < draws.count; i += group.count() * G::lanes) {
        const Draws::Unit<kWidth> unit = draws.unit<kWidth>(i);
        std::uint32_t radii[kWidth][kDrawn], angles[kWidth][kDrawn];
        draw<kWidth>(key, unit, radii);
        draw<kWidth>(angle_key, unit, angles);
#pragma unroll
        for (int w = 0; w < kDrawn; ++w) {
          float values[kWidth];
#pragma unroll
          for (int c = 0; c < kWidth; ++c)
            values[c] =
                static_cast<float>(mean + stddev * standard_normal(radii[c][w], angles[c][w]));
          store<kWidth>(y, draws.place<kWidth>(unit, w), draws.aligned, values);
        }
      }
    });
  }
};

/// Cuts [rows, cols] whose element (0, 0) is (first_row, first_column) of the whole tensor.
Draws draws_of(std::int64_t rows, std::int64_t cols, std::int64_t first_row,
               std::int64_t first_column, std::initializer_list<ConstTensorView> views) {
  Draws draws;
  draws.cols = cols;
  draws.first_row = first_row;
  draws.first_column = first_column;
  draws.first_group = first_column / kRandomGroup;
  draws.width = chunk_width(views);
  draws.aligned = first_column % draws.width == 0;
  for (const ConstTensorView& view : views)
    draws.aligned = draws.aligned && chunks_aligned(view, draws.width);
  const std::int64_t groups =
      ceiling_of_quotient(first_column + cols, kRandomGroup) - draws.first_group;
  const std::int64_t per_row = cols == 0 ? 0 : groups * (kRandomLanes / draws.width);
  if (per_row > kMostChunks || (per_row > 0 && rows > kMostChunks / per_row))
    throw std::invalid_argument("a random matrix of fewer than 2^31 units of work");
  draws.count = static_cast<std::uint32_t>(rows * per_row);
  draws.per_row = Divider(std::max<std::int64_t>(per_row, 1));
  return draws;
}

}  // namespace

void run(const Dropout& op, Queue& queue) {
  check_shapes(op);
  const Draws draws = draws_of(op.x.rows, op.x.cols, op.first_row, op.first_column, {op.x, op.y});
  const std::int64_t groups = ceiling_of_quotient(draws.count, kMapLanes);
  const std::uint32_t threshold = dropout_threshold(op.probability);
  const float factor = 1.0F / (1.0F - op.probability);
  if (draws.width == 8)
    issue<kMapLanes>(queue, groups, Drop<8>{draws, op.x, op.y, op.key, threshold, factor});
  else
    issue<kMapLanes>(queue, groups, Drop<4>{draws, op.x, op.y, op.key, threshold, factor});
}

void run(const NormalFill& op, Queue& queue) {
  check_shapes(op);
  const Draws draws = draws_of(op.y.rows, op.y.cols, op.first_row, op.first_column, {op.y});
  const std::int64_t groups = ceiling_of_quotient(draws.count, kMapLanes);
  const RandomKey angle_key{op.key.seed ^ (std::uint64_t{1} << 63), op.key.stream};
  if (draws.width == 8)
    issue<kMapLanes>(queue, groups,
                     DrawNormal<8>{draws, op.y, op.key, angle_key, op.mean, op.stddev});
  else
    issue<kMapLanes>(queue, groups,
                     DrawNormal<4>{draws, op.y, op.key, angle_key, op.mean, op.stddev});
}

}  // namespace meshplan::kernels::cuda
