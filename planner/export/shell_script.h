#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace meshplan::planner {

/// `text` as one word of a shell: quoted where it must be.
std::string shell_quoted(std::string_view text);

/// The words of one shell command or of a list of flags: quotes and backslashes are undone, a
/// backslash at the end of a line joins, comments are dropped. "${NAME:-value}" gives its value,
/// other variables stay as they are. Throws InputError at `where` for an open quote.
std::vector<std::string> shell_words(std::string_view text, const std::string& where);

/// A script that sets variables and runs one program.
struct ShellScript {
  std::map<std::string, std::string> variables;  ///< NAME=value and export NAME=value
  std::vector<std::string> launcher;             ///< words of the command up to the program
  std::vector<std::string> arguments;            ///< words after it
  std::string here_document;                     ///< the lines between <<'END' and END, if any
};
/// Finds the command that runs `program`. Throws InputError if there is none.
ShellScript read_shell_script(std::string_view text, std::string_view program,
                              const std::string& where);

/// Flags with their values: "--name a b", "--name=a". A word that is no flag belongs to the one
/// before it; words before the first flag are `positional`.
struct FlagList {
  struct Flag {
    std::string name;  ///< with its dashes
    std::vector<std::string> values;
  };
  std::vector<std::string> positional;
  std::vector<Flag> flags;

  [[nodiscard]] const Flag* find(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  /// Its one value as text; none if the flag is absent. Throws InputError without exactly one.
  [[nodiscard]] std::optional<std::string> value(std::string_view name,
                                                 const std::string& where) const;
  /// Its one value as a whole number of at least `least`.
  [[nodiscard]] std::optional<int> number(std::string_view name, const std::string& where,
                                          int least = 1) const;
};
FlagList read_flags(const std::vector<std::string>& words);

/// A command of one flag a line, written.
class ShellCommand {
 public:
  explicit ShellCommand(std::string start) : text_(std::move(start)) {}
  /// A flag on a line of its own; `raw` text is for the shell to expand.
  void raw(const std::string& text) { text_ += " \\\n  " + text; }
  void flag(const std::string& name) { raw(name); }
  template <typename Value>
  void flag(const std::string& name, const Value& value) {
    if constexpr (std::is_arithmetic_v<Value>) {
      raw(name + " " + std::to_string(value));
    } else {
      raw(name + " " + shell_quoted(value));
    }
  }
  [[nodiscard]] std::string text() const { return text_ + "\n"; }

 private:
  std::string text_;
};

}  // namespace meshplan::planner
