#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/memory/stage_memory.h"
#include "runtime/device/engine.h"
#include "runtime/measure/measurement.h"

namespace meshplan::cli {

/// Where ranks run: cores of the host, or devices of an engine.
struct Place {
  runtime::Engine* engine = nullptr;  ///< none: the host
  int most_at_once = 1;
  profiles::Bytes available;  ///< for ranks that share it
};
Place place_of(runtime::Engine* engine);

/// What the `count` ranks hold that hold most; `stages` = what the layout predicts.
profiles::Bytes memory_of_ranks(const planner::Layout& layout,
                                const std::vector<planner::StageMemory>& stages, int count);
inline profiles::Bytes memory_of_all_ranks(const planner::Layout& layout,
                                           const std::vector<planner::StageMemory>& stages) {
  return memory_of_ranks(layout, stages, layout.devices());
}

/// Why the memory of one GPU does not suffice; none if it does.
std::optional<std::string> too_little(profiles::Bytes needed, profiles::Bytes available);

/// Why the place cannot run the plan; none if it can.
std::optional<std::string> obstacle(const planner::Layout& layout,
                                    const std::vector<planner::StageMemory>& stages,
                                    runtime::Mode mode, const Place& place);

}  // namespace meshplan::cli
