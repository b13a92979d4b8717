#include "kernels/random.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"
#include "kernels/dropout.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct DropRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<T> y, std::uint32_t threshold,
                                  float factor, RandomKey key, std::int64_t first_row,
                                  std::int64_t first_column) {
    // Whole groups of 64 columns are drawn; a shard may begin and end inside one.
    const std::int64_t begin = first_column / kRandomGroup;
    const std::int64_t end = (first_column + x.cols + kRandomGroup - 1) / kRandomGroup;
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const auto row = static_cast<std::uint64_t>(first_row + r);
      for (std::int64_t group = begin; group < end; ++group) {
        alignas(64) float keep[kRandomGroup];
        draw(key, row, group, threshold, factor, keep);
        const std::int64_t column = group * kRandomGroup - first_column;
        if (column >= 0 && column + kRandomGroup <= x.cols) {
          multiply(x.row(r) + column, y.row(r) + column, keep, kRandomGroup);
        } else {
          const std::int64_t from = std::max<std::int64_t>(column, 0);
          const std::int64_t to = std::min(column + kRandomGroup, x.cols);
          multiply(x.row(r) + from, y.row(r) + from, keep + (from - column), to - from);
        }
      }
    }
  }

  MESHPLAN_INLINE static void draw(RandomKey key, std::uint64_t row, std::int64_t group,
                                   std::uint32_t threshold, float factor, float* keep) {
    std::uint32_t c0[kRandomLanes], c1[kRandomLanes], c2[kRandomLanes], c3[kRandomLanes];
#pragma omp simd
    for (std::int64_t lane = 0; lane < kRandomLanes; ++lane) {
      c0[lane] = static_cast<std::uint32_t>(row);
      c1[lane] = static_cast<std::uint32_t>(row >> 32);
      c2[lane] = static_cast<std::uint32_t>(group * kRandomLanes + lane);
      c3[lane] = static_cast<std::uint32_t>(key.stream);
    }
    std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
    std::uint32_t k1 =
        static_cast<std::uint32_t>(key.seed >> 32) ^ static_cast<std::uint32_t>(key.stream >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
#pragma omp simd
      for (std::int64_t lane = 0; lane < kRandomLanes; ++lane) {
        const std::uint64_t low = std::uint64_t{0xD2511F53} * c0[lane];
        const std::uint64_t high = std::uint64_t{0xCD9E8D57} * c2[lane];
        c0[lane] = static_cast<std::uint32_t>(high >> 32) ^ c1[lane] ^ k0;
        c2[lane] = static_cast<std::uint32_t>(low >> 32) ^ c3[lane] ^ k1;
        c1[lane] = static_cast<std::uint32_t>(high);
        c3[lane] = static_cast<std::uint32_t>(low);
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
#pragma omp simd
    for (std::int64_t lane = 0; lane < kRandomLanes; ++lane) {
      keep[lane] = c0[lane] >= threshold ? factor : 0.0F;
      keep[kRandomLanes + lane] = c1[lane] >= threshold ? factor : 0.0F;
      keep[2 * kRandomLanes + lane] = c2[lane] >= threshold ? factor : 0.0F;
      keep[3 * kRandomLanes + lane] = c3[lane] >= threshold ? factor : 0.0F;
    }
  }

  template <class T>
  MESHPLAN_INLINE static void multiply(const T* in, T* out, const float* keep, std::int64_t size) {
#pragma omp simd
    for (std::int64_t c = 0; c < size; ++c) {
      // A dropped infinity must be 0, not NaN.
      out[c] = rounded<T>(keep[c] == 0.0F ? 0.0F : load(in[c]) * keep[c]);
    }
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

// Draws parameters once, before training: not vectorised.
void run(const NormalFill& op, Queue&) {
  check_shapes(op);
  const RandomKey angle_key{op.key.seed ^ (std::uint64_t{1} << 63), op.key.stream};
  with_type(op.y.type, [&]<class T>(T) {
    const Matrix<T> y = matrix<T>(op.y);
    for (std::int64_t r = 0; r < y.rows; ++r) {
      const auto row = static_cast<std::uint64_t>(op.first_row + r);
      for (std::int64_t c = 0; c < y.cols; ++c) {
        const auto radius_word = static_cast<double>(random_word(op.key, row, op.first_column + c));
        const auto angle_word =
            static_cast<float>(random_word(angle_key, row, op.first_column + c));
        const auto uniform = static_cast<float>((radius_word + 1) * 0x1p-32);
        const float angle = 2 * std::numbers::pi_v<float> * (angle_word * 0x1p-32F);
        const float z = std::sqrt(-2 * std::log(uniform)) * std::cos(angle);
        y.row(r)[c] = rounded<T>(op.mean + op.stddev * z);
      }
    }
  });
}

}  // namespace meshplan::kernels::cpu
