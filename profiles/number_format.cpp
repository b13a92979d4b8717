#include "profiles/number_format.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

/// Three significant figures without an exponent: 1234 -> "1234", 12.34 -> "12.3".
std::string significant(double value) {
  const double size = std::abs(value);
  if (size >= 99.95 || size == 0) return fmt::format("{:.0f}", value);
  if (size >= 9.995) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}

std::string with_prefix(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 6> kPrefixes = {"", "K", "M", "G", "T", "P"};
  std::size_t at = 0;
  while (std::abs(value) >= 999.5 && at + 1 < kPrefixes.size()) {
    value /= 1000;
    ++at;
  }
  return fmt::format("{} {}{}", significant(value), kPrefixes[at], unit);
}

}  // namespace

std::string human(Seconds time) {
  const double s = time.count();
  const double size = std::abs(s);
  if (size >= 86400) return significant(s / 86400) + " days";
  if (size >= 0.9995 || size == 0) return significant(s) + " s";
  if (size >= 0.9995e-3) return significant(s * 1e3) + " ms";
  return significant(s * 1e6) + " us";
}

std::string human(Bytes size) { return with_prefix(static_cast<double>(size.count), "B"); }

std::string human(BytesPerSecond rate) { return with_prefix(rate.rate, "B/s"); }

std::string human_count(double count) {
  if (std::abs(count) >= 0.9995e12) return significant(count / 1e12) + "T";
  if (std::abs(count) >= 0.9995e9) return significant(count / 1e9) + "B";
  if (std::abs(count) >= 0.9995e6) return significant(count / 1e6) + "M";
  return fmt::format("{:.0f}", count);
}

std::string with_thousands(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

Bytes parse_bytes(std::string_view text, const std::string& where) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double scale = 0;
  if (unit.empty() || unit == "B") scale = 1;
  if (unit == "K" || unit == "KiB") scale = 1024.0;
  if (unit == "M" || unit == "MiB") scale = 1024.0 * 1024;
  if (unit == "G" || unit == "GiB") scale = 1024.0 * 1024 * 1024;
  if (unit == "KB") scale = 1e3;
  if (unit == "MB") scale = 1e6;
  if (unit == "GB") scale = 1e9;
  if (status != std::errc{} || scale == 0 || !std::isfinite(value) || value < 0 ||
      value * scale > 1e18) {
    throw InputError(where, "a size such as 512, 64K, 256M or 1G", "'" + std::string(text) + "'");
  }
  return {static_cast<std::int64_t>(value * scale)};
}

}  // namespace meshplan::profiles
