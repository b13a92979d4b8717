#include "planner/cost/collective/collective.h"

#include <algorithm>
#include <array>
#include <string>

namespace meshplan::planner {
namespace {
constexpr std::array<std::string_view, kCollectives> kNames = {
    "all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "send_recv", "reduce"};

std::string joined(std::string_view text) {
  std::string out(text);
  std::erase_if(out, [](char c) { return c == '_' || c == '-'; });
  return out;
}

}  // namespace

std::string_view name(Collective operation) { return kNames[static_cast<std::size_t>(operation)]; }

std::optional<Collective> collective_from(std::string_view text) {
  const auto* const found = std::find_if(kNames.begin(), kNames.end(), [&](std::string_view one) {
    return joined(one) == joined(text);
  });
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Collective>(found - kNames.begin());
}

}  // namespace meshplan::planner
