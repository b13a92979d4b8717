#pragma once
#include "planner/simulate/timeline.h"
#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// On a GPU a receive is posted before its sender sends, and its span begins there. What counts as
/// a transfer is the time from the moment when both sides are there, so that the wait before it is
/// a bubble, as on the host: a span that receives begins no earlier than the one that sends it.
/// `timeline`: rank = global rank.
void begin_with_sender(planner::Timeline& timeline, const Training& training);

}  // namespace meshplan::runtime
