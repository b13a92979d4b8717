#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "planner/search/search_space.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// Layouts that share everything but ZeRO stage, overlap, cp_kind and order of axes: what the
/// search bounds together before it prices any of them.
struct Family {
  Degrees degrees;
  PipelineChoice pipeline;
  bool sp = false;
  Recompute recompute = Recompute::None;
  std::int64_t place = 0;  ///< of its first layout in the order of the space
  /// Peak by ZeRO stage; none where no layout with that stage is legal, allowed and fits.
  std::array<std::optional<profiles::Bytes>, 4> peaks;
};

/// The layout of `family` with the given ZeRO stage and overlap, in the default order of axes, with
/// the first cp_kind where none is given.
inline Layout member(const SearchSpace& space, const Family& family, int zero, Overlap overlap,
                     std::optional<ContextKind> kind = std::nullopt) {
  return space.layout(family.degrees, family.pipeline, family.sp, family.recompute, zero, overlap,
                      kind ? *kind : space.context_kinds(family.degrees).front(), Layout{}.order);
}

}  // namespace meshplan::planner
