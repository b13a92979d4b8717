#pragma once
#include <array>
#include <string_view>

#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// A term of a step under its names.
struct NamedTerm {
  std::string_view key;    ///< of JSON: "tp_communication_seconds"
  std::string_view words;  ///< "tensor-parallel communication"
  profiles::Seconds Terms::*value;
};

/// All of them, in the order in which they are printed.
inline constexpr std::array<NamedTerm, 9> kTerms = {
    {{"compute_seconds", "compute", &Terms::compute},
     {"tp_communication_seconds", "tensor-parallel communication", &Terms::tp},
     {"cp_communication_seconds", "context-parallel communication", &Terms::cp},
     {"ep_communication_seconds", "expert-parallel communication", &Terms::ep},
     {"pp_communication_seconds", "pipeline transfers", &Terms::pp},
     {"dp_communication_seconds", "data-parallel communication", &Terms::dp},
     {"optimizer_seconds", "optimizer", &Terms::optimizer},
     {"overhead_seconds", "overhead", &Terms::overhead},
     {"bubble_seconds", "bubble", &Terms::bubble}}};

}  // namespace meshplan::planner
