#include "cli/error_text.h"

#include <fmt/format.h>

namespace meshplan::cli {

using profiles::Bytes;
using profiles::Seconds;

std::string error_text(double predicted, double measured) {
  return measured > 1e-9 ? fmt::format("{:+.1f}%", 100 * (predicted / measured - 1)) : "-";
}
std::string error_text(Seconds predicted, Seconds measured) {
  return error_text(predicted.count(), measured.count());
}
std::string error_text(Bytes predicted, Bytes measured) {
  return error_text(static_cast<double>(predicted.count), static_cast<double>(measured.count));
}

}  // namespace meshplan::cli
