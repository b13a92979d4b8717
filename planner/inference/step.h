#pragma once
#include "profiles/units.h"

namespace meshplan::planner {

/// What one step does, on all pipeline stages.
struct Step {
  double decoding = 0;       ///< requests that decode one token each
  double cached = 0;         ///< keys that each of them attends to, on average
  double prompt_tokens = 0;  ///< tokens of prompts
  double prompt_pairs = 0;   ///< and pairs of query and key among and before them
  double prompts = 0;        ///< prompts that end, and so give their first token
  bool streams = false;      ///< each token is sent to a user as it comes
};

/// Where the time of a step goes; the parts add up.
struct StepTime {
  profiles::Seconds matrices{0};       ///< products with weights, and what lies between them
  profiles::Seconds attention{0};      ///< reading the cache; scores of the prompts
  profiles::Seconds communication{0};  ///< all-reduces, exchanges of experts, pipeline transfers
  profiles::Seconds pipeline{0};  ///< stages that wait: uneven ones, fewer requests than stages
  profiles::Seconds host{0};      ///< what the host's work adds
  /// Besides: how much later a step ends that finds all stages idle.
  profiles::Seconds fill{0};
  [[nodiscard]] profiles::Seconds sum() const {
    return matrices + attention + communication + pipeline + host;
  }
};

}  // namespace meshplan::planner
