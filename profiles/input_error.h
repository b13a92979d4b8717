#pragma once
#include <stdexcept>
#include <string>

namespace meshplan::profiles {

/// Input that a person must mend: a file, a flag, a layout. Caught once, in cli/main.cpp, and
/// printed as one line "where: expected ..., found ..." with exit code 2.
class InputError : public std::runtime_error {
 public:
  /// `where` = file and JSON pointer or line, or the flag; `expected` and `found` are short
  /// phrases.
  InputError(const std::string& where, const std::string& expected, const std::string& found)
      : std::runtime_error(where + ": expected " + expected + ", found " + found) {}
  /// For refusals that are not of the form expected/found, e.g. "heads 12 not divisible by tp 8".
  InputError(const std::string& where, const std::string& what)
      : std::runtime_error(where + ": " + what) {}
};

}  // namespace meshplan::profiles
