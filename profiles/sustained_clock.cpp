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
    "400 W cap: dense fp64 HPL holds 1305 of 1410 MHz (peak as NVIDIA states it for HPL); bf16 "
    "training throttles less";
constexpr std::string_view kHopper700 =
    "700 W cap: dense bf16 with random operands holds 1.4 to 1.75 of 1.98 GHz; the tables' own "
    "kernels beyond a millisecond already run 10 % below their best";
constexpr std::string_view kPciePower =
    "300 to 350 W cap on a die that takes 400 to 700 W in SXM form";

// Published clocks under load are few; these are the defaults until a measured step corrects them.
constexpr std::array<Entry, 18> kTable = {{
    {"a100-sxm-40gb", 0.95, kAmpere400},
    {"a100-sxm-80gb", 0.95, kAmpere400},
    {"a100-pcie-80gb", 0.85, kPciePower},
    {"h100-sxm-80gb", 0.85, kHopper700},
    {"h100-pcie-80gb", 0.75, kPciePower},
    {"h100-hbm2e-96gb", 0.85, kHopper700},
    {"h200-sxm-141gb", 0.85, kHopper700},
    {"gh200-96gb", 0.85, "up to 1000 W shared with the CPU: taken as Hopper at 700 W"},
    {"b200-sxm-180gb", 0.85, "1000 W cap: no published clock under load, taken as Hopper"},
    {"b300-sxm-288gb", 0.85, "1100 W cap: no published clock under load, taken as Hopper"},
    {"gb200-186gb", 0.88, "1200 W cap, a fifth more than B200 at the same die"},
    {"gb300-288gb", 0.88, "1400 W cap: no published clock under load, taken as GB200"},
    {"l40s-48gb", 0.90, "350 W cap; the tables already show it on kernels beyond a millisecond"},
    {"l4-24gb", 0.65, "72 W cap: dense work holds about 1.3 of 2.04 GHz"},
    {"a40-48gb", 0.85, "300 W cap, clocks as RTX A6000"},
    {"v100-sxm2-16gb", 0.95, "300 W cap: dense fp16 holds 1.4 to 1.5 of 1.53 GHz"},
    {"rtx-pro-6000-96gb", 0.90, "600 W cap: no published clock under load, taken as L40S"},
    {"host-cpu", 1.0, "a CPU's peak is stated at the clock it sustains"},
}};

}  // namespace

SustainedClock sustained_clock(const std::string& device_id) {
  const auto* const found = std::find_if(kTable.begin(), kTable.end(),
                                         [&](const Entry& e) { return e.device == device_id; });
  if (found == kTable.end()) return {0.85, "no figure for this device: taken as H100 SXM"};
  return {found->factor, std::string(found->cause)};
}

}  // namespace meshplan::profiles
