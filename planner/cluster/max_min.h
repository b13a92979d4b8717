#pragma once
#include <vector>

#include "profiles/units.h"

namespace meshplan::planner {

/// Bandwidth that each flow gets when all run at once and share each link fairly (max-min): rates
/// rise together; a flow stops rising when one of its links is full. `flows[i]` lists the links
/// that flow i uses, as indexes of `capacity`; a link that a flow names k times counts k times. A
/// flow over no link at all gets no bound and is given the rate 0.
std::vector<profiles::BytesPerSecond> max_min_rates(
    const std::vector<profiles::BytesPerSecond>& capacity,
    const std::vector<std::vector<int>>& flows);

}  // namespace meshplan::planner
