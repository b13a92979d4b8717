#include "planner/export/shell_script.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "profiles/input_error.h"

namespace meshplan::planner {

using profiles::InputError;

namespace {

/// "${NAME:-value}" gives "value".
std::string with_default(const std::string& word) {
  if (!word.starts_with("${") || !word.ends_with("}")) return word;
  const std::size_t at = word.find(":-");
  return at == std::string::npos ? word : word.substr(at + 2, word.size() - at - 3);
}

bool names_variable(std::string_view word, std::size_t equals) {
  return equals != std::string_view::npos && equals > 0 &&
         std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
         });
}

/// Commands of a script: its lines, those that end in a backslash joined.
std::vector<std::string> commands_of(std::string_view text, std::string& here_document) {
  std::vector<std::string> out;
  std::string command;
  std::string end_mark;
  bool inside = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (inside) {
      if (line == end_mark) {
        inside = false;
      } else {
        here_document += line + "\n";
      }
      continue;
    }
    if (const std::size_t mark = line.find("<<'"); mark != std::string::npos) {
      const std::size_t close = line.find('\'', mark + 3);
      if (close != std::string::npos) {
        end_mark = line.substr(mark + 3, close - mark - 3);
        inside = true;
      }
    }
    command += line;
    if (line.ends_with("\\")) {
      command.pop_back();
      continue;
    }
    out.push_back(command);
    command.clear();
  }
  if (!command.empty()) out.push_back(command);
  return out;
}

}  // namespace

std::string shell_quoted(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_./:=,+@%").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::vector<std::string> shell_words(std::string_view text, const std::string& where) {
  std::vector<std::string> out;
  std::string word;
  bool inside = false;  // of a word, perhaps an empty quoted one
  char quote = 0;
  int braces = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else if (c == '\\' && quote == '"' && i + 1 < text.size()) {
        word += text[++i];
      } else {
        word += c;
      }
      continue;
    }
    if (c == '\'' || c == '"') {
      quote = c;
      inside = true;
    } else if (c == '\\' && i + 1 < text.size()) {
      const char next = text[++i];
      if (next != '\n' && next != '\r') {
        word += next;
        inside = true;
      }
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0 && braces == 0) {
      if (inside) out.push_back(with_default(word));
      word.clear();
      inside = false;
    } else if (c == '#' && !inside) {
      i = std::min(text.find('\n', i), text.size() - 1);
    } else {
      if (c == '{') ++braces;
      if (c == '}' && braces > 0) --braces;
      word += c;
      inside = true;
    }
  }
  if (quote != 0) throw InputError(where, "a closing quote", "the end");
  if (inside) out.push_back(with_default(word));
  return out;
}

ShellScript read_shell_script(std::string_view text, std::string_view program,
                              const std::string& where) {
  ShellScript out;
  bool found = false;
  for (const std::string& command : commands_of(text, out.here_document)) {
    std::vector<std::string> words = shell_words(command, where);
    if (words.empty()) continue;
    if (words.front() == "export") words.erase(words.begin());
    const auto runs = std::find(words.begin(), words.end(), program);
    if (runs != words.end()) {
      out.launcher.assign(words.begin(), runs);
      out.arguments.assign(runs + 1, words.end());
      found = true;
      continue;
    }
    for (const std::string& word : words) {
      const std::size_t equals = word.find('=');
      if (!names_variable(word, equals)) break;
      out.variables[word.substr(0, equals)] = with_default(word.substr(equals + 1));
    }
  }
  if (!found) {
    throw InputError(where, "a command that runs " + std::string(program), "none");
  }
  return out;
}

const FlagList::Flag* FlagList::find(std::string_view name) const {
  const auto at =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == name; });
  return at == flags.end() ? nullptr : &*at;
}

std::optional<std::string> FlagList::value(std::string_view name, const std::string& where) const {
  const Flag* flag = find(name);
  if (flag == nullptr) return std::nullopt;
  if (flag->values.size() != 1) {
    throw InputError(where, "one value for " + std::string(name),
                     std::to_string(flag->values.size()));
  }
  return flag->values.front();
}

std::optional<int> FlagList::number(std::string_view name, const std::string& where,
                                    int least) const {
  const auto text = value(name, where);
  if (!text) return std::nullopt;
  int number = 0;
  const char* end = text->data() + text->size();
  const auto [last, status] = std::from_chars(text->data(), end, number);
  constexpr int kMost = 100'000'000;
  if (status != std::errc{} || last != end || number < least || number > kMost) {
    throw InputError(
        where, "a whole number of at least " + std::to_string(least) + " for " + std::string(name),
        "'" + *text + "'");
  }
  return number;
}

FlagList read_flags(const std::vector<std::string>& words) {
  FlagList out;
  for (const std::string& word : words) {
    if (word == "$@") continue;
    // A lone dash and negative numbers are values.
    const bool flag =
        word.size() > 1 && word[0] == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0;
    if (!flag) {
      (out.flags.empty() ? out.positional : out.flags.back().values).push_back(word);
      continue;
    }
    const std::size_t equals = word.find('=');
    out.flags.push_back({word.substr(0, equals), {}});
    if (equals != std::string::npos) out.flags.back().values.push_back(word.substr(equals + 1));
  }
  return out;
}

}  // namespace meshplan::planner
