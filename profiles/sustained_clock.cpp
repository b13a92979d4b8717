#include "profiles/sustained_clock.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace meshplan::profiles {
namespace {

struct Entry {
  std::string_view device;
  double factor;
  std::string_view cause;
};

constexpr std::string_view kAmpere400 =
    "400 W cap: fitted on recorded training runs (docs/accuracy.md); fp64 HPL holds 1305 of 1410 "
    "MHz, a factor of 0.93 (NVIDIA's own HPL peak)";
constexpr std::string_view kHopper700 =
    "700 W cap: fitted on recorded training runs (docs/accuracy.md); the tables' GEMMs beyond a "
    "millisecond already run 10 % below those of "
    "0.2 ms, and training keeps the power up for longer than they do";
constexpr std::string_view kHopper500 =
    "500 W limit of these boards (torchtitan, benchmarks of December 2024): that of 700 W times "
    "the "
    "cube root of the power, as voltage falls with the clock";
constexpr std::string_view kPciePower =
    "300 to 350 W cap on a die that takes 400 to 700 W in SXM "
    "form: assumed";
constexpr std::string_view kHopperPcie =
    "350 W cap: 1.38 of 1.755 GHz on average under sustained load, one reported card, 0.79";
constexpr std::string_view kBlackwell = "1000 W cap or more: no figure known, assumed as Hopper";

// Published clocks under load are few. These are starting points that a measured training step is
// meant to correct; the cause says which are assumed.
constexpr std::array<Entry, 18> kTable = {{
    {"a100-sxm-40gb", 0.91, kAmpere400},
    {"a100-sxm-80gb", 0.91, kAmpere400},
    {"a100-pcie-80gb", 0.85, kPciePower},
    {"h100-sxm-80gb", 0.795, kHopper700},
    {"h100-pcie-80gb", 0.78, kHopperPcie},
    {"h100-hbm2e-96gb", 0.711, kHopper500},
    {"h200-sxm-141gb", 0.795, kHopper700},
    {"gh200-96gb", 0.82, "up to 1000 W shared with the CPU: assumed as H100 SXM"},
    {"b200-sxm-180gb", 0.65, "1000 W cap: fitted on recorded training runs (docs/accuracy.md)"},
    {"b300-sxm-288gb", 0.66, kBlackwell},
    {"gb200-186gb", 0.72, "1200 W cap: fitted on recorded training runs (docs/accuracy.md)"},
    {"gb300-288gb", 0.72, "1400 W cap: assumed, a little above GB200"},
    {"l40s-48gb", 0.90, "350 W cap: assumed; the tables' long GEMMs show part of it already"},
    {"l4-24gb", 0.70, "72 W cap, far below what its clocks can draw: assumed"},
    {"a40-48gb", 0.85, kPciePower},
    {"v100-sxm2-16gb", 0.95, "300 W cap: assumed as A100"},
    {"rtx-pro-6000-96gb", 0.90, "600 W cap: assumed as L40S"},
    {"host-cpu", 1.0, "a CPU's peak is stated at the clock it sustains"},
}};

}  // namespace

SustainedClock sustained_clock(const std::string& device_id) {
  const auto* const found = std::find_if(kTable.begin(), kTable.end(),
                                         [&](const Entry& e) { return e.device == device_id; });
  if (found == kTable.end()) return {0.85, "no figure for this device: assumed as H100 SXM"};
  return {found->factor, std::string(found->cause)};
}

}  // namespace meshplan::profiles
