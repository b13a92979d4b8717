#include "cli/usage_error.h"

#include <CLI/Error.hpp>
#include <CLI/Option.hpp>
#include <vector>

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::cli {
namespace {

using profiles::InputError;

/// The command whose words were being read.
struct Command {
  const CLI::App* app;
  std::string place;  ///< "profile fit"; "command line" where no command was named
  std::string help;   ///< " (see 'meshplan profile fit --help')"
};

Command innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  std::string words;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    words += (words.empty() ? "" : " ") + at->get_name();
  }
  const std::string called = app.get_name() + (words.empty() ? "" : " ") + words;
  return {at, words.empty() ? "command line" : words, " (see '" + called + " --help')"};
}

std::vector<std::string> subcommands(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* each : app.get_subcommands({})) out.push_back(each->get_name());
  return out;
}

InputError unknown_word(const Command& command, const std::string& word) {
  std::string what = "a command";
  std::vector<std::string> known = subcommands(*command.app);
  if (known.empty() || word.starts_with('-')) {
    what = "a known flag";
    known.clear();
    for (const CLI::Option* option : command.app->get_options()) {
      if (option->nonpositional()) known.push_back("--" + option->get_lnames().front());
    }
  }
  return {command.place, what + command.help,
          "'" + word + "'" + profiles::did_you_mean(word, known)};
}

/// An option that was given too seldom or too often.
InputError miscounted(const CLI::Option& option) {
  const std::string what = option.get_type_name();
  const auto& values = option.results();
  if (values.size() < 2) return {option.get_name(), what, "nothing"};
  return {option.get_name(), "one " + what,
          std::to_string(values.size()) + ", '" + values[0] + "' and '" + values[1] + "'"};
}

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const Command command = innermost(app);
  // A word that is no command is left over, and CLI11 then asks for a command.
  const std::vector<std::string> words = command.app->remaining();
  if (!words.empty()) return unknown_word(command, words.front()).what();
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const CLI::Option* option : command.app->get_options()) {
      if (!option->get_required() || option->count() > 0) continue;
      return InputError(command.place,
                        (option->nonpositional() ? option->get_name() + " " : "") +
                            option->get_type_name() + command.help,
                        "none")
          .what();
    }
    return InputError(command.place, "a command" + command.help, "none").what();
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string text = error.what();
    if (const CLI::Option* option =
            command.app->get_option_no_throw(text.substr(0, text.find(':')))) {
      return miscounted(*option).what();
    }
  }
  return error.what() + command.help;
}

}  // namespace meshplan::cli
