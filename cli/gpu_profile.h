#pragma once
#include <string>

namespace meshplan::cli {

struct GpuProfileOptions {
  std::string out;  ///< folder
  bool brief = false, force = false;
};

/// Measures the first GPU: its tables as CSV, memory and clocks as JSON, and the profile fitted to
/// them, in `out`. Throws runtime::EngineMissing where there is no GPU engine.
int profile_gpu(const GpuProfileOptions& options, const std::string& today,
                const std::string& version);

}  // namespace meshplan::cli
