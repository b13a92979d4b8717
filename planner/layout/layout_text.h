#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "planner/layout/layout.h"

namespace meshplan::planner {

/// The text of a layout, e.g. "tp8,pp8,dp4,mbs1,vpp3,sp,recompute=selective,zero1".
/// tp, pp, dp always; mbs unless `training` is false; the rest only where it is not the default.
/// layout_from_text(text(x)) == x for every layout that normalised() leaves alone.
std::string text(const Layout& layout, bool training = true);

/// A layout text as read, with the keys that were given: `--fix` pins only those.
struct LayoutText {
  Layout layout;
  std::vector<std::string> given;  ///< keys in order of the text: "tp", "recompute", ...
  [[nodiscard]] bool has(std::string_view key) const;
};

/// Reads a layout text; keys in any order, missing ones get their defaults. Throws InputError that
/// names `where` for an unknown key (nearest named), a bad value, or a key given twice.
LayoutText read_layout_text(std::string_view text, const std::string& where);
Layout layout_from_text(std::string_view text, const std::string& where = "layout");

/// The same layout in its canonical form: etp == tp is dropped, vpp > 1 with 1f1b is interleaved,
/// zb-v carries vpp 1 (its two chunks are implied), sp without tp is off.
Layout normalised(Layout layout);

/// Names used in layout texts, help and JSON; one table each.
extern const std::array<std::pair<std::string_view, Recompute>, 3> kRecomputeNames;
extern const std::array<std::pair<std::string_view, Overlap>, 4> kOverlapNames;
extern const std::array<std::pair<std::string_view, ContextKind>, 3> kContextNames;
extern const std::array<std::pair<std::string_view, Offload>, 3> kOffloadNames;
extern const std::array<std::pair<std::string_view, ScheduleKind>, 6> kScheduleNames;

std::string_view name(Recompute value);
std::string_view name(Overlap value);
std::string_view name(ContextKind value);
std::string_view name(Offload value);
std::string_view name(ScheduleKind value);
/// "tp-cp-dp-pp", fastest first.
std::string order_name(const std::array<Axis, 4>& order);

}  // namespace meshplan::planner
