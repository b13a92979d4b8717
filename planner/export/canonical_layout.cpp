#include "planner/export/canonical_layout.h"

#include <algorithm>

#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "planner/layout/stage_split.h"

namespace meshplan::planner {
namespace {

/// The axes of `order` that have more than one rank; the rest is Tp, which is never compared.
std::array<Axis, 4> split_axes(const Layout& layout, const std::array<Axis, 4>& order) {
  std::array<Axis, 4> out{};
  std::size_t used = 0;
  for (const Axis axis : order) {
    if (degree(layout, axis) > 1) out[used++] = axis;
  }
  return out;
}

}  // namespace

Overlap effective_overlap(const Layout& layout) {
  Overlap stated = layout.overlap;
  // Tensor-parallel collectives are hidden under sequence parallelism only.
  const bool parts = layout.sp && layout.tp > 1;
  if (stated == Overlap::GradParamTp && parts) return stated;
  if (stated == Overlap::GradParamTp) stated = Overlap::GradParam;
  if (layout.replicas() == 1 || layout.zero == 3) return Overlap::None;
  if (layout.zero == 2 && stated == Overlap::Grad) return Overlap::None;
  if (layout.zero == 0 && stated == Overlap::GradParam) return Overlap::Grad;
  return stated;
}

bool places_ranks_as(const Layout& layout, const std::array<Axis, 4>& order) {
  return split_axes(layout, layout.order) == split_axes(layout, order);
}

Layout canonical(Layout layout, const Transformer& model) {
  layout = normalised(layout);
  if (layout.replicas() == 1) layout.zero = 0;
  layout.overlap = effective_overlap(layout);
  layout.stages = stage_split(layout, model);
  const Layout defaults;
  const std::array<Axis, 4> axes = split_axes(layout, layout.order);
  std::size_t used = 0;
  for (Axis& axis : layout.order) axis = Axis::Tp;
  for (std::size_t i = 0; i < 4; ++i) {
    const Axis usual = defaults.order[i];
    layout.order[i] = degree(layout, usual) > 1 ? axes[used++] : usual;
  }
  return layout;
}

}  // namespace meshplan::planner
