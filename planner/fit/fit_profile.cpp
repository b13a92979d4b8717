#include "planner/fit/fit_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "planner/fit/attention_fit.h"
#include "planner/fit/gemm_fit.h"
#include "planner/fit/streaming.h"
#include "profiles/device_profile_json.h"
#include "profiles/input_error.h"
#include "profiles/sustained_clock.h"

namespace meshplan::planner {
namespace {

/// A kernel that reads and writes reaches less than one that only reads, because the memory's bus
/// turns around. Assumed: no table here measures it.
constexpr double kReadWrite = 0.95;

std::string summary(const Tables& tables) {
  std::string out = "fitted on half of";
  for (std::size_t i = 0; i < tables.sources.size(); ++i) {
    out += fmt::format("{} {} ({} rows)", i == 0 ? "" : ",", tables.sources[i].name,
                       tables.sources[i].rows);
  }
  return out;
}

}  // namespace

profiles::DeviceProfile fit_profile(const profiles::Device& device, const Tables& tables,
                                    const std::string& date) {
  const auto require_bf16 = [&](const auto& rows) {
    for (const auto& row : rows) {
      if (row.type == profiles::DataType::Bf16) continue;
      throw profiles::InputError("tables of " + device.id, "rows in bf16",
                                 std::string(profiles::name(row.type)));
    }
  };
  require_bf16(tables.gemm);
  require_bf16(tables.attention);
  std::vector<AttentionMeasurement> prefill, decode;
  for (const AttentionMeasurement& row : tables.attention) {
    (row.decode() ? decode : prefill).push_back(row);
  }
  const auto require = [&](bool there, const std::string& what) {
    if (!there) throw profiles::InputError("tables of " + device.id, "rows of " + what, "none");
  };
  require(!tables.gemm.empty(), "GEMMs");
  require(!prefill.empty(), "prefill attention");
  require(!decode.empty(), "decode attention");

  profiles::DeviceProfile out;
  out.device = device;
  out.name = device.id;
  out.fitted = true;
  out.date = date;
  out.tables = tables.sources;
  out.provenance = summary(tables);
  out.gemm = fit_gemm(device, tables.gemm);
  out.attention = fit_attention(device, prefill);
  out.decode = fit_decode(device, decode);
  const double stream = streaming_efficiency(device, tables);
  out.memory_bound = {out.gemm.launch, std::round(1000 * kReadWrite * stream) / 1000,
                      out.gemm.l2_bandwidth, out.gemm.l2_share};
  const profiles::SustainedClock clock = profiles::sustained_clock(device.id);
  out.sustained_clock_factor = clock.factor;
  out.sustained_clock_cause = clock.cause;
  return out;
}

std::string profile_text(const profiles::DeviceProfile& profile) {
  const nlohmann::ordered_json document = profiles::profile_json(profile);
  std::string out = "{";
  const char* separator = "\n";
  for (const auto& [key, value] : document.items()) {
    out += fmt::format("{} \"{}\": ", separator, key);
    separator = ",\n";
    if (!value.is_object()) {
      out += value.dump();
      continue;
    }
    out += "{";
    const char* inner = "\n";
    for (const auto& [name, member] : value.items()) {
      out += fmt::format("{}  \"{}\": {}", inner, name, member.dump());
      inner = ",\n";
    }
    out += "\n }";
  }
  return out + "\n}\n";
}

}  // namespace meshplan::planner
