#include "cli/error_text.h"

#include <fmt/format.h>

#include <cmath>

namespace meshplan::cli {

using profiles::Bytes;
using profiles::Seconds;

namespace {

/// In percent, to a tenth; the sum makes a zero of either sign a positive one.
double to_tenths(double fraction) { return std::round(1000 * fraction) / 10 + 0.0; }

}  // namespace

std::string signed_percent(double fraction) { return fmt::format("{:+.1f}%", to_tenths(fraction)); }
std::string signed_points(double fraction) {
  return fmt::format("{:+.1f} pp", to_tenths(fraction));
}

std::string error_text(double predicted, double measured) {
  return measured > 1e-9 ? signed_percent(predicted / measured - 1) : "-";
}
std::string error_text(Seconds predicted, Seconds measured) {
  return error_text(predicted.count(), measured.count());
}
std::string error_text(Bytes predicted, Bytes measured) {
  return error_text(static_cast<double>(predicted.count), static_cast<double>(measured.count));
}

}  // namespace meshplan::cli
