#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "profiles/device_profile.h"
#include "profiles/units.h"

/// Corrects a profile from what its predictions of whole runs were off by: one factor a class of
/// operations, each with a physical meaning, instead of constants of formulas that a run cannot
/// tell apart.
namespace meshplan::planner {

enum class OpClass : std::uint8_t {
  Gemm,
  Attention,
  MemoryBound,  ///< element-wise work, losses, the optimizer
  Collective,
  Overhead,  ///< launches and calls
};
constexpr int kOpClasses = 5;
std::string_view name(OpClass op_class);  ///< "products", "attention", ...

/// How much longer each class takes than the profile says. 1: as it says.
struct RefitFactors {
  std::array<double, kOpClasses> by_class = {1, 1, 1, 1, 1};
  [[nodiscard]] double operator[](OpClass c) const { return by_class[static_cast<std::size_t>(c)]; }
  [[nodiscard]] double& operator[](OpClass c) { return by_class[static_cast<std::size_t>(c)]; }
};

/// A measured time, and of what the profile says that it consists.
struct RefitRow {
  profiles::Seconds measured{0};
  std::array<profiles::Seconds, kOpClasses> by_class{};
  profiles::Seconds rest{0};  ///< what no factor changes
  double weight = 1;          ///< share of a run: the rows of one run add up to 1
};

/// The factors that minimise, over rows i and classes c,
///
///   sum_i w_i (ln measured_i - ln predicted_i(f))^2 + sum_c (ln f_c)^2
///
/// predicted_i(f) = rest_i + sum_c f_c t_ic. The second sum pulls towards 1 like one run that found
/// the profile right: n runs of nothing but class c move ln f_c by n / (n + 1) of what they are off
/// by, and a class that no run shows stays at 1.
RefitFactors refit(std::span<const RefitRow> rows);

/// `profile` with its classes slower by `factors`: residuals of products and attention, bandwidth
/// shares of memory-bound work, launches. The device's facts stay, and with them the floors below
/// which no prediction goes. Collectives stand in the cluster, not here.
profiles::DeviceProfile with_factors(profiles::DeviceProfile profile, const RefitFactors& factors);

}  // namespace meshplan::planner
