#pragma once
#include <random>
#include <string>
#include <vector>

namespace meshplan::fuzz {

/// A damaged copy of one of `seeds`: one to four changes, each a flipped bit, a cut, a repeated
/// stretch, a stretch of another seed, or a number or word that readers trip over. The result
/// depends on nothing but the arguments.
std::string mutation(const std::vector<std::string>& seeds, std::mt19937_64& random);

}  // namespace meshplan::fuzz
