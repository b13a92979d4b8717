#include "planner/fit/refit.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace meshplan::planner {
namespace {

using profiles::Seconds;
using Vector = std::array<double, kOpClasses>;
using Matrix = std::array<Vector, kOpClasses>;

/// No class can be off by more: beyond, something else is wrong.
constexpr double kMostOff = 4;

/// Solves a x = b; a is symmetric and, thanks to the pull towards 1, positive definite.
Vector solved(Matrix a, Vector b) {
  for (int pivot = 0; pivot < kOpClasses; ++pivot) {
    for (int row = pivot + 1; row < kOpClasses; ++row) {
      const double share = a[row][pivot] / a[pivot][pivot];
      for (int col = pivot; col < kOpClasses; ++col) a[row][col] -= share * a[pivot][col];
      b[row] -= share * b[pivot];
    }
  }
  for (int row = kOpClasses - 1; row >= 0; --row) {
    for (int col = row + 1; col < kOpClasses; ++col) b[row] -= a[row][col] * b[col];
    b[row] /= a[row][row];
  }
  return b;
}

}  // namespace

std::string_view name(OpClass op_class) {
  switch (op_class) {
    case OpClass::Gemm:
      return "products";
    case OpClass::Attention:
      return "attention";
    case OpClass::MemoryBound:
      return "memory-bound";
    case OpClass::Collective:
      return "collectives";
    case OpClass::Overhead:
      return "overhead";
  }
  return "";
}

RefitFactors refit(std::span<const RefitRow> rows) {
  Vector log_factor{};
  // Gauss-Newton: ln predicted is close to linear in the logarithms of the factors.
  constexpr int kIterations = 20;
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    Matrix normal{};
    Vector pull{};
    for (int c = 0; c < kOpClasses; ++c) {
      normal[c][c] = 1;
      pull[c] = -log_factor[c];
    }
    for (const RefitRow& row : rows) {
      Vector slope{};
      Seconds predicted = row.rest;
      for (int c = 0; c < kOpClasses; ++c) {
        slope[c] = std::exp(log_factor[c]) * row.by_class[c].count();
        predicted += Seconds{slope[c]};
      }
      if (predicted <= Seconds{0} || row.measured <= Seconds{0}) continue;
      for (double& s : slope) s /= predicted.count();
      const double off = std::log(row.measured / predicted);
      for (int c = 0; c < kOpClasses; ++c) {
        pull[c] += row.weight * slope[c] * off;
        for (int d = 0; d < kOpClasses; ++d) normal[c][d] += row.weight * slope[c] * slope[d];
      }
    }
    const Vector step = solved(normal, pull);
    for (int c = 0; c < kOpClasses; ++c) {
      log_factor[c] = std::clamp(log_factor[c] + step[c], -std::log(kMostOff), std::log(kMostOff));
    }
  }
  RefitFactors out;
  for (int c = 0; c < kOpClasses; ++c) out.by_class[c] = std::exp(log_factor[c]);
  return out;
}

profiles::DeviceProfile with_factors(profiles::DeviceProfile profile, const RefitFactors& factors) {
  profile = slowed(std::move(profile), {factors[OpClass::Gemm], factors[OpClass::Attention],
                                        factors[OpClass::MemoryBound]});
  for (Seconds* launch : {&profile.memory_bound.launch, &profile.gemm.launch,
                          &profile.gemm.vector_launch, &profile.attention.launch}) {
    *launch *= factors[OpClass::Overhead];
  }
  return profile;
}

}  // namespace meshplan::planner
