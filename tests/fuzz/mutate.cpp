#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace meshplan::fuzz {
namespace {

constexpr std::array<std::string_view, 28> kAwkward = {
    "0",
    "-1",
    "1",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "1e18",
    "1e19",
    "1e308",
    "1e999",
    "-0.0",
    "0.5",
    "1e-320",
    "NaN",
    "inf",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[",
    "{\"a\":",
    "\\u0000",
    "\xff",
    ",",
    "..",
    "=",
};

/// Stretches that an awkward value may stand for: runs of digits, letters or other characters.
struct Stretch {
  std::size_t begin, size;
};

std::size_t below(std::size_t limit, std::mt19937_64& random) {
  return limit == 0 ? 0 : static_cast<std::size_t>(random() % limit);
}

/// The number or word around a random place.
Stretch word_somewhere(const std::string& text, std::mt19937_64& random) {
  const auto in_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '+';
  };
  std::size_t at = below(text.size(), random);
  while (at < text.size() && !in_word(text[at])) ++at;
  std::size_t begin = at;
  while (begin > 0 && in_word(text[begin - 1])) --begin;
  while (at < text.size() && in_word(text[at])) ++at;
  return {begin, at - begin};
}

Stretch anywhere(const std::string& text, std::mt19937_64& random) {
  const std::size_t begin = below(text.size() + 1, random);
  const std::size_t most = std::min<std::size_t>(text.size() - begin, 64);
  return {begin, below(most + 1, random)};
}

void change(std::string& text, const std::vector<std::string>& seeds, std::mt19937_64& random) {
  const std::string_view awkward = kAwkward[below(kAwkward.size(), random)];
  switch (random() % 7) {
    case 0: {
      if (text.empty()) return;
      char& c = text[below(text.size(), random)];
      c = static_cast<char>(static_cast<unsigned char>(c) ^ (1U << (random() % 8)));
      return;
    }
    case 1: {
      const Stretch cut = anywhere(text, random);
      text.erase(cut.begin, cut.size);
      return;
    }
    case 2:
      text.resize(below(text.size() + 1, random));
      return;
    case 3: {
      const Stretch again = anywhere(text, random);
      text.insert(again.begin, text.substr(again.begin, again.size));
      return;
    }
    case 4: {
      const std::string& other = seeds[below(seeds.size(), random)];
      const Stretch from = anywhere(other, random);
      const Stretch to = anywhere(text, random);
      text.replace(to.begin, to.size, other, from.begin, from.size);
      return;
    }
    case 5: {
      const Stretch to = anywhere(text, random);
      text.insert(to.begin, awkward);
      return;
    }
    default: {
      const Stretch word = word_somewhere(text, random);
      text.replace(word.begin, word.size, awkward);
      return;
    }
  }
}

}  // namespace

std::string mutation(const std::vector<std::string>& seeds, std::mt19937_64& random) {
  std::string text = seeds[below(seeds.size(), random)];
  for (auto changes = 1 + random() % 4; changes > 0; --changes) change(text, seeds, random);
  return text;
}

}  // namespace meshplan::fuzz
