#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/memory/stage_memory.h"
#include "planner/simulate/timeline.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// What the simulator says of one layout.
struct Prediction {
  profiles::Seconds step{0};
  profiles::Seconds step_low{0}, step_high{0};  ///< 80% interval
  double tokens_per_second = 0;
  double mfu = 0;  ///< model FLOPs (full-attention convention) over peak, all devices
  double hfu = 0;  ///< of executed FLOPs: recomputation and fused attention's Q K^T besides
  Terms terms;     ///< of the rank with the longest period; they add up to the step
  int terms_stage = 0;
  double bubble_fraction = 0;
  std::vector<profiles::Seconds> busy;  ///< by stage: its compute stream in one step
  std::vector<StageMemory> memory;      ///< by stage
  profiles::Bytes capacity;             ///< of one device
};

/// One stage of the pipeline: which layers its chunks hold.
struct StageLayers {
  struct Chunk {
    int first_layer = 0, layers = 0;
    bool embedding = false, head = false;
  };
  std::vector<Chunk> chunks;
};

/// A layout with its placement, split and prediction.
struct Plan {
  Layout layout;
  bool fits = true;
  std::vector<StageLayers> stages;
  std::string limited_by;  ///< the largest term that is not compute, uneven stages, or memory
  Prediction prediction;
  std::int64_t equivalent = 1;  ///< layouts found with the same step and peak, this one included
};

/// How the search went. candidates = feasible + all of rejected.
struct SearchReport {
  bool exact = true;
  std::int64_t candidates = 0;  ///< size of the space, each layout once
  std::int64_t feasible = 0;    ///< legal and fitting
  std::int64_t simulated = 0;   ///< the rest of the feasible ones is provably no better
  double seconds = 0;
  profiles::Seconds lower_bound{0};              ///< what no layout can beat
  double optimality_gap = 0;                     ///< best / lower_bound - 1
  std::map<std::string, std::int64_t> rejected;  ///< by rule, and "out_of_memory"
};

/// The layout that comes nearest to fitting when none does.
struct NearestMiss {
  Plan plan;
  profiles::Bytes missing;    ///< peak - limit
  std::string cheapest_knob;  ///< what would mend it
};

struct PlanResult {
  std::vector<Plan> plans;  ///< best first
  std::optional<SearchReport> search;
  std::optional<NearestMiss> nearest_miss;
};

}  // namespace meshplan::planner
