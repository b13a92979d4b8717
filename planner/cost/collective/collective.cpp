#include "planner/cost/collective/collective.h"

#include <algorithm>
#include <array>
#include <string>

namespace meshplan::planner {
namespace {
constexpr std::array<std::string_view, kCollectives> kNames = {
    "all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "send_recv"};
}

std::string_view name(Collective operation) { return kNames[static_cast<std::size_t>(operation)]; }

std::optional<Collective> collective_from(std::string_view text) {
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '-', '_');
  const auto found = std::find(kNames.begin(), kNames.end(), plain);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Collective>(found - kNames.begin());
}

}  // namespace meshplan::planner
