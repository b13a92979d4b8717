#pragma once
#include <string>

namespace meshplan::cli {

/// Flags of `run`, as given.
struct RunOptions {
  std::string plan_file, plan_number = "0", backend = "cpu", mode, steps = "5", tolerance,
                         timeout = "60", out, trace, profiles;
  bool as_json = false, no_check = false;
};

}  // namespace meshplan::cli
