#pragma once
#include <rapidcheck.h>

#include "planner/schedule/build_schedule.h"

namespace meshplan::planner {

/// Degrees that some kind of schedule can run.
struct AnySchedule {
  ScheduleKind kind = ScheduleKind::OneFOneB;
  int stages = 1, chunks_per_stage = 1, microbatches = 1;
  ScheduleOptions options;

  [[nodiscard]] PipelineShape shape() const {
    return {stages, chunks_per_stage, microbatches, options.group_size};
  }
  [[nodiscard]] int chunks() const { return stages * chunks_per_stage; }
};

inline void showValue(const AnySchedule& any, std::ostream& out) {
  out << "kind " << static_cast<int>(any.kind) << " stages " << any.stages << " chunks "
      << any.chunks_per_stage << " micro-batches " << any.microbatches << " group "
      << any.options.group_size;
}

/// Small degrees, all kinds, fewer micro-batches than stages included.
inline rc::Gen<AnySchedule> any_schedule() {
  return rc::gen::exec([] {
    AnySchedule any;
    any.kind = static_cast<ScheduleKind>(*rc::gen::inRange(0, 6));
    any.stages = *rc::gen::inRange(1, 9);
    any.microbatches = *rc::gen::inRange(1, 25);
    if (any.kind == ScheduleKind::ZbV) any.chunks_per_stage = 2;
    if (any.kind == ScheduleKind::Interleaved) {
      any.chunks_per_stage = *rc::gen::inRange(1, 5);
      const int n = any.stages + (*rc::gen::inRange(0, 3) == 0 ? *rc::gen::inRange(1, 4) : 0);
      if (n != any.stages) any.options.group_size = n;
      // Whole groups, and a last one of at least `stages`.
      const int rest = n == any.stages ? 0 : *rc::gen::element(0, any.stages);
      any.microbatches = n * *rc::gen::inRange(1, 4) + rest;
    }
    return any;
  });
}

inline Schedule built(const AnySchedule& any) {
  return build_schedule(any.kind, any.stages, any.chunks_per_stage, any.microbatches, any.options);
}

}  // namespace meshplan::planner
