#include "planner/export/megatron_layout_string.h"

#include <fmt/format.h>

#include <cctype>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;

/// "t*3" and "(tt|)*2" written out, parentheses first.
std::string unrolled(std::string text, const std::string& where) {
  constexpr std::size_t kLongest = 100'000;
  for (std::size_t star = text.find('*'); star != std::string::npos; star = text.find('*')) {
    // The innermost repetition: what stands before the first star.
    std::size_t begin = star;
    if (star > 0 && text[star - 1] == ')') {
      begin = text.rfind('(', star);
    } else if (star > 0) {
      begin = star - 1;
    }
    std::size_t end = star + 1;
    std::size_t times = 0;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) {
      times = times * 10 + static_cast<std::size_t>(text[end++] - '0');
      if (times > kLongest) break;
    }
    if (begin == star || begin == std::string::npos || end == star + 1 || times > kLongest) {
      throw InputError(where, "a layout string such as Et*3|(tt|)*2L",
                       "'" + text.substr(0, 40) + "'");
    }
    std::string part = text.substr(begin, star - begin);
    if (part.front() == '(') part = part.substr(1, part.size() - 2);
    std::string many;
    for (std::size_t i = 0; i < times && many.size() <= kLongest; ++i) many += part;
    if (many.size() + text.size() > kLongest) {
      throw InputError(where, "a layout string of at most 100,000 entries", "more");
    }
    text.replace(begin, end - begin, many);
  }
  return text;
}

}  // namespace

std::vector<int> megatron_layout_stages(const std::string& text, const std::string& where) {
  std::string plain;
  for (const char c : text) {
    if (c != ',' && c != ' ') plain += c;
  }
  plain = unrolled(plain, where);
  std::vector<int> out = {0};
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    if (c == '|') {
      out.push_back(0);
    } else if (c == 't') {
      ++out.back();
    } else if ((c != 'E' || i != 0) && (c != 'L' || i + 1 != plain.size())) {
      throw InputError(where, "E first, L last, t for layers and | between stages",
                       fmt::format("'{}' in the layout string", c));
    }
  }
  if (!plain.starts_with("E") || !plain.ends_with("L")) {
    throw InputError(where, "a layout string from E to L", "'" + text.substr(0, 40) + "'");
  }
  return out;
}

std::string megatron_layout_string(const std::vector<int>& layers_per_chunk) {
  std::string out = "E";
  for (std::size_t c = 0; c < layers_per_chunk.size(); ++c) {
    if (c > 0) out += "|";
    const int layers = layers_per_chunk[c];
    if (layers == 1) out += "t";
    if (layers > 1) out += fmt::format("t*{}", layers);
  }
  return out + "L";
}

}  // namespace meshplan::planner
