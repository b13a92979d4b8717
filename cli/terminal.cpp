#include "cli/terminal.h"

#include <unistd.h>

#include <cstdlib>

namespace meshplan::cli {
namespace {

const char* code(Style style) {
  switch (style) {
    case Style::Bold:
      return "\033[1m";
    case Style::Dim:
      return "\033[2m";
    case Style::Green:
      return "\033[32m";
    case Style::Yellow:
      return "\033[33m";
    case Style::Red:
      return "\033[31m";
    case Style::Plain:
      break;
  }
  return "";
}

/// One that understands escape sequences.
bool is_terminal(std::FILE* stream) {
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return ::isatty(::fileno(stream)) != 0;
}

}  // namespace

bool wants_colour(std::FILE* stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  return is_terminal(stream);
}

std::string styled(std::string_view text, Style style) {
  if (style == Style::Plain || !wants_colour(stdout)) return std::string(text);
  return std::string(code(style)).append(text).append("\033[0m");
}

Progress::Progress() : active_(is_terminal(stderr)) {}

void Progress::clear() {
  if (!shown_.empty()) std::fputs("\r\033[K", stderr);
  shown_.clear();
}

void Progress::show(const std::string& line) {
  if (!active_ || line == shown_) return;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  shown_ = line;
}

}  // namespace meshplan::cli
