#include "runtime/execute/tokens.h"

#include "kernels/random.h"

namespace meshplan::runtime {
namespace {

/// Keeps the draws of tokens apart from those of parameters and dropout.
constexpr std::uint64_t kTokenStream = 0x746f6b656e;

}  // namespace

std::vector<std::int32_t> synthetic_tokens(std::uint64_t seed, std::int64_t first, int sequences,
                                           int length, int vocab) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(static_cast<std::size_t>(sequences) * length);
  const kernels::RandomKey key{seed, kTokenStream};
  for (int s = 0; s < sequences; ++s) {
    std::int64_t token = 0;
    for (int i = 0; i < length; ++i) {
      const std::uint32_t word =
          kernels::random_word(key, static_cast<std::uint64_t>(first + s), i);
      const bool drawn = i == 0 || word % 8 == 0;
      token = drawn ? (word / 8) % vocab : (5 * token + 3) % vocab;
      tokens.push_back(static_cast<std::int32_t>(token));
    }
  }
  return tokens;
}

}  // namespace meshplan::runtime
