#pragma once
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/problem.h"

namespace meshplan::planner {

/// A layout with one knob turned, and what follows from it.
struct KnobTurn {
  std::string knob;   ///< "tp", "recompute": the key of the layout's text
  std::string value;  ///< "tp8", "recompute=full"
  Layout layout;      ///< with what follows from the turn
};

/// Everything that one knob of `layout` can be turned to, legal or not.
///
/// Knobs are the keys of a layout that decide whether it is legal and whether it fits: degrees,
/// micro-batch, schedule, chunks, sp, recompute, zero, hsdp, ep, etp and a stated split. Overlap
/// and the order of axes mend nothing. Offloading is left out: no cluster states how much memory a
/// host has. When tp, pp or cp turns, dp follows so that as many devices are used as before, or
/// where that cannot be, all of them; dp alone turns to fewer. What a turn makes meaningless goes
/// with it: chunks and schedule without a pipeline, sp without tp, ZeRO without replicas, a split
/// of other chunks. Of a layout that wants more devices than there are, turns that want as many are
/// left out unless `with_too_many_devices`: they alone never run.
std::vector<KnobTurn> knob_turns(const Layout& layout, const Problem& problem,
                                 bool with_too_many_devices = false);

/// What was changed from `from` to `to`, as the text of the changed keys: "pp4, dp2,
/// recompute=full"; a key that is back at its default is named with "no" or its value.
std::string changed_keys(const Layout& from, const Layout& to);

}  // namespace meshplan::planner
