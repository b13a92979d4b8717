#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace meshplan::profiles {

/// Input that a person must mend: a file, a flag, a layout. Caught once, in cli/main.cpp, and
/// printed as one line "where: expected ..., found ..." with exit code 2.
class InputError : public std::runtime_error {
 public:
  /// `where` = file and JSON pointer or line, or the flag; `expected` and `found` are short
  /// phrases.
  InputError(const std::string& where, const std::string& expected, const std::string& found)
      : InputError(where, "expected " + expected + ", found " + found) {}
  /// For refusals that are not of the form expected/found, e.g. "heads 12 not divisible by tp 8".
  InputError(std::string where, std::string reason)
      : std::runtime_error(where + ": " + reason),
        where_(std::move(where)),
        reason_(std::move(reason)) {}

  [[nodiscard]] const std::string& where() const { return where_; }
  /// The line without its place, for whoever knows the place better.
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  std::string where_, reason_;
};

/// What `read` returns; a refusal that only says which `noun` it looked for ("cluster") gets the
/// place where that was named: a flag, or a key of a file.
template <typename Read>
decltype(auto) named_at(const std::string& where, const std::string& noun, Read&& read) {
  try {
    return read();
  } catch (const InputError& error) {
    if (error.where() != noun) throw;
    throw InputError(where, error.reason());
  }
}

}  // namespace meshplan::profiles
