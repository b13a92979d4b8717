#include "planner/schedule/forward_only.h"

#include "planner/schedule/interleaved.h"

namespace meshplan::planner {

ComputeOrder forward_only(ScheduleKind kind, const PipelineShape& shape, int stage) {
  ComputeOrder order;
  order.reserve(static_cast<std::size_t>(shape.microbatches) *
                static_cast<std::size_t>(shape.chunks_per_stage));
  for (int group = 0; group < interleaved_groups(shape); ++group) {
    const int size = interleaved_group_size(shape, group);
    for (int local = 0; local < shape.chunks_per_stage; ++local) {
      const int chunk = chunk_on_stage(kind, shape.stages, stage, local);
      for (int k = 0; k < size; ++k) {
        order.push_back(compute(Action::Forward, chunk, group * shape.group() + k));
      }
    }
  }
  return order;
}

}  // namespace meshplan::planner
