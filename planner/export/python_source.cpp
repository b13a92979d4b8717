#include "planner/export/python_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// Lines that are no comments.
std::string without_comments(std::string_view source) {
  std::string out;
  while (!source.empty()) {
    const std::size_t end = std::min(source.find('\n'), source.size());
    const std::string_view line = source.substr(0, end);
    if (!trimmed(line).starts_with("#")) out += std::string(line) + "\n";
    source.remove_prefix(std::min(end + 1, source.size()));
  }
  return out;
}

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Where the call of `function` opens its parenthesis; a definition is no call.
std::size_t opening(std::string_view source, std::string_view function) {
  const std::string wanted = std::string(function) + "(";
  for (std::size_t at = source.find(wanted); at != std::string_view::npos;
       at = source.find(wanted, at + 1)) {
    const bool whole = at == 0 || !is_name(source[at - 1]);
    const bool defined = at >= 4 && source.substr(at - 4, 4) == "def ";
    if (whole && !defined) return at + wanted.size();
  }
  return std::string_view::npos;
}

void add_argument(PythonCall& call, std::string_view argument) {
  argument = trimmed(argument);
  if (argument.empty()) return;
  std::size_t name = 0;
  while (name < argument.size() && is_name(argument[name])) ++name;
  const bool named =
      name > 0 && name + 1 < argument.size() && argument[name] == '=' && argument[name + 1] != '=';
  if (named) {
    call.named[std::string(argument.substr(0, name))] =
        std::string(trimmed(argument.substr(name + 1)));
  } else {
    call.positional.emplace_back(argument);
  }
}

}  // namespace

std::optional<PythonCall> python_call(std::string_view source, std::string_view function) {
  const std::string code = without_comments(source);
  const std::size_t begin = opening(code, function);
  if (begin == std::string::npos) return std::nullopt;
  PythonCall out;
  int depth = 1;
  char quote = 0;
  std::size_t argument = begin;
  for (std::size_t i = begin; i < code.size(); ++i) {
    const char c = code[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (c == '"' || c == '\'') quote = c;
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') --depth;
    if (depth == 0 || (depth == 1 && c == ',')) {
      add_argument(out, std::string_view(code).substr(argument, i - argument));
      argument = i + 1;
    }
    if (depth == 0) return out;
  }
  return std::nullopt;
}

std::optional<std::string> python_value(std::string_view source, std::string_view name) {
  const std::string start = std::string(name) + " = ";
  while (!source.empty()) {
    const std::size_t end = std::min(source.find('\n'), source.size());
    std::string_view line = source.substr(0, end);
    if (line.starts_with(start)) {
      line.remove_prefix(start.size());
      return std::string(trimmed(line.substr(0, line.find("  #"))));
    }
    source.remove_prefix(std::min(end + 1, source.size()));
  }
  return std::nullopt;
}

std::vector<int> python_numbers(std::string_view value) {
  std::vector<int> out;
  for (std::size_t i = 0; i < value.size();) {
    if (std::isdigit(static_cast<unsigned char>(value[i])) == 0) {
      ++i;
      continue;
    }
    int number = 0;
    const char* begin = value.data() + i;
    const char* end = std::from_chars(begin, value.data() + value.size(), number).ptr;
    out.push_back(number);
    i += static_cast<std::size_t>(std::max<std::ptrdiff_t>(1, end - begin));
  }
  return out;
}

int python_number(const std::optional<std::string>& value, const std::string& where) {
  const std::vector<int> numbers = python_numbers(value.value_or(""));
  if (numbers.size() != 1 || numbers.front() < 1) {
    throw profiles::InputError(where, "a whole number of at least 1",
                               "'" + value.value_or("nothing") + "'");
  }
  return numbers.front();
}

std::string python_list(const std::vector<int>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

std::string torch_dtype(std::string_view data_type) {
  if (data_type == "fp16") return "torch.float16";
  if (data_type == "bf16") return "torch.bfloat16";
  return "torch.float32";
}

std::string python_recompute(Recompute recompute) {
  if (recompute == Recompute::Full) {
    return R"(from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper


def recompute(layer):
    """Repeats a whole layer in backward."""
    return checkpoint_wrapper(layer)


)";
  }
  if (recompute == Recompute::Selective) {
    return R"(from functools import partial

from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts


def attention_only(context, operation, *args, **kwargs):
    """Keeps every result but those of the core of attention."""
    core = "attention" in str(operation) or "softmax" in str(operation)
    return CheckpointPolicy.PREFER_RECOMPUTE if core else CheckpointPolicy.MUST_SAVE


def recompute(layer):
    contexts = partial(create_selective_checkpoint_contexts, attention_only)
    return checkpoint_wrapper(layer, context_fn=contexts)


)";
  }
  return "";
}

Recompute recompute_of(std::string_view source) {
  const auto call = python_call(source, "checkpoint_wrapper");
  if (!call) return Recompute::None;
  return call->named.contains("context_fn") ? Recompute::Selective : Recompute::Full;
}

std::vector<std::string> python_keys(std::string_view source,
                                     const std::vector<std::string_view>& functions) {
  std::vector<std::string> out;
  for (const std::string_view function : functions) {
    const auto call = python_call(source, function);
    if (!call) continue;
    for (const auto& [name, value] : call->named) {
      out.push_back(std::string(function) + "." + name);
    }
  }
  return out;
}

}  // namespace meshplan::planner
