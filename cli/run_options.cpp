#include "cli/run_options.h"

#include <cmath>
#include <cstdlib>

#include "cli/problem_options.h"
#include "profiles/input_error.h"

namespace meshplan::cli {

using profiles::InputError;

double positive_flag(const std::string& text, const std::string& flag, double whole) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value > 0) || !std::isfinite(value)) {
    throw InputError(flag, "a number above 0", "'" + text + "'");
  }
  return value / whole;
}

double tolerance_flag(std::string text) {
  const bool percent = text.ends_with('%');
  if (percent) text.pop_back();
  return positive_flag(text, "--tolerance", percent ? 100 : 1);
}

std::size_t plan_flag(const RunOptions& options, std::size_t plans) {
  const std::string& number = options.plan_number;
  const auto at = static_cast<std::size_t>(number == "0" ? 0 : count_flag(number, "--plan"));
  if (at < plans) return at;
  throw InputError("--plan", "a plan from 0 to " + std::to_string(plans - 1), number);
}

}  // namespace meshplan::cli
