#pragma once
#include <string>

namespace meshplan::cli {

/// Flags of `run`, as given.
struct RunOptions {
  std::string plan_file, plan_number = "0", backend = "cpu", mode, steps = "5", tolerance,
                         timeout = "60", out, trace, profiles;
  bool as_json = false, no_check = false;
};

/// A number above 0, divided by `whole`. Throws InputError naming the flag.
double positive_flag(const std::string& text, const std::string& flag, double whole);

/// "10%" or "0.1"
double tolerance_flag(std::string text);

/// The plan that --plan names, of `plans` in the file.
std::size_t plan_flag(const RunOptions& options, std::size_t plans);

}  // namespace meshplan::cli
