#include "cli/run_place.h"

#include <algorithm>

#include "profiles/number_format.h"
#include "runtime/measure/host.h"

namespace meshplan::cli {
namespace {

using profiles::Bytes;

/// Ranks that share the memory of the place at a time: in a replay a core or a GPU has one of them.
int ranks_together(const planner::Layout& layout, runtime::Mode mode, const Place& place) {
  if (place.engine == nullptr) {
    return mode == runtime::Mode::Replay ? place.most_at_once : layout.devices();
  }
  return mode == runtime::Mode::Partitioned ? layout.devices() : 1;
}

}  // namespace

Place place_of(runtime::Engine* engine) {
  if (engine == nullptr) {
    const runtime::Host host = runtime::this_host();
    return {nullptr, host.cores, host.available};
  }
  return {engine, static_cast<int>(engine->devices().size()), engine->free_memory(0)};
}

Bytes memory_of_ranks(const planner::Layout& layout,
                      const std::vector<planner::StageMemory>& stages, int count) {
  std::vector<Bytes> ranks;
  for (const planner::StageMemory& stage : stages) {
    ranks.insert(ranks.end(), static_cast<std::size_t>(layout.devices() / layout.pp),
                 stage.allocated());
  }
  std::sort(ranks.begin(), ranks.end(), [](Bytes a, Bytes b) { return a > b; });
  Bytes sum{};
  for (std::size_t r = 0; r < ranks.size() && r < static_cast<std::size_t>(count); ++r) {
    sum += ranks[r];
  }
  return sum;
}

std::optional<std::string> too_little(Bytes needed, Bytes available) {
  if (needed <= available) return std::nullopt;
  return "the ranks of one GPU need " + profiles::human(needed) + ", but it has " +
         profiles::human(available) + " free";
}

std::optional<std::string> obstacle(const planner::Layout& layout,
                                    const std::vector<planner::StageMemory>& stages,
                                    runtime::Mode mode, const Place& place) {
  const bool host = place.engine == nullptr;
  if (mode == runtime::Mode::Parallel && layout.devices() > place.most_at_once) {
    return std::to_string(layout.devices()) + " ranks in parallel, but this machine has " +
           std::to_string(place.most_at_once) +
           (host ? " cores; --mode replay runs one of each kind"
                 : " GPUs; --mode replay runs them one after the other on one");
  }
  const Bytes needed = memory_of_ranks(layout, stages, ranks_together(layout, mode, place));
  if (!host) return too_little(needed, place.available);
  if (needed > place.available) {
    return "the ranks need " + profiles::human(needed) + ", but this machine has " +
           profiles::human(place.available) + " free";
  }
  return std::nullopt;
}

}  // namespace meshplan::cli
