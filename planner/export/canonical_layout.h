#pragma once
#include <array>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"

namespace meshplan::planner {

/// Replicas lie side by side, each with its stages.
inline constexpr std::array<Axis, 4> kPipelineInside = {Axis::Tp, Axis::Cp, Axis::Pp, Axis::Dp};

/// The overlap that a layout has in effect: ZeRO-3 gathers and reduces layer by layer whatever it
/// says, ZeRO-2 reduces so, without ZeRO no parameters are gathered, one replica reduces nothing.
Overlap effective_overlap(const Layout& layout);

/// Whether axes in `order`, fastest first, put every rank of `layout` where its own order does:
/// axes of degree 1 do not matter.
bool places_ranks_as(const Layout& layout, const std::array<Axis, 4>& order);

/// The layout with everything said once: stages spelled out, axes of degree 1 in their usual
/// places, the effective overlap, no ZeRO of one replica. Two layouts of a model run alike if these
/// are equal.
Layout canonical(Layout layout, const Transformer& model);

}  // namespace meshplan::planner
