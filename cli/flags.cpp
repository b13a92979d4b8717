#include "cli/flags.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "profiles/input_error.h"

namespace meshplan::cli {
namespace {

using profiles::InputError;

std::string quoted(const std::string& text) { return text.empty() ? "nothing" : "'" + text + "'"; }

/// `text` as a whole; none where it is no finite number.
std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = status == std::errc{} && end == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

int count_flag(const std::string& text, const std::string& flag) {
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status == std::errc::result_out_of_range && text.front() != '-') {
    throw InputError(flag,
                     "a whole number of at most " + std::to_string(std::numeric_limits<int>::max()),
                     quoted(text));
  }
  if (status != std::errc{} || end != text.data() + text.size() || value < 1) {
    throw InputError(flag, "a whole number of at least 1", quoted(text));
  }
  return value;
}

double positive_flag(const std::string& text, const std::string& flag) {
  const auto value = number_in(text);
  if (!value || *value <= 0) throw InputError(flag, "a number above 0", quoted(text));
  return *value;
}

double fraction_flag(const std::string& text, const std::string& flag) {
  const bool percent = text.ends_with('%');
  const auto value = number_in(std::string_view(text).substr(0, text.size() - (percent ? 1 : 0)));
  if (!value || *value < 0) throw InputError(flag, "a fraction such as 0.1 or 10%", quoted(text));
  return percent ? *value / 100 : *value;
}

std::size_t plan_flag(const std::string& text, std::size_t plans) {
  std::size_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || value >= plans) {
    throw InputError("--plan",
                     plans == 1 ? "0, the only plan of the file"
                                : "a plan from 0 to " + std::to_string(plans - 1),
                     quoted(text));
  }
  return value;
}

}  // namespace meshplan::cli
