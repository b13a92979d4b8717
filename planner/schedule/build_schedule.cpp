#include "planner/schedule/build_schedule.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <limits>

#include "planner/schedule/forward_only.h"
#include "planner/schedule/gpipe.h"
#include "planner/schedule/interleaved.h"
#include "planner/schedule/lower.h"
#include "planner/schedule/one_forward_one_backward.h"
#include "planner/schedule/zb_h1.h"
#include "planner/schedule/zb_h2.h"
#include "planner/schedule/zb_v.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

struct Generator {
  ScheduleKind kind;
  ComputeOrder (*order)(const PipelineShape&, int stage);
  int chunks_per_stage;  ///< 0: any
};

/// The one place that knows all schedules; in the order of the enumeration.
constexpr std::array<Generator, 6> kGenerators = {{
    {ScheduleKind::GPipe, gpipe, 1},
    {ScheduleKind::OneFOneB, one_forward_one_backward, 1},
    {ScheduleKind::Interleaved, interleaved, 0},
    {ScheduleKind::ZbH1, zb_h1, 1},
    {ScheduleKind::ZbH2, zb_h2, 1},
    {ScheduleKind::ZbV, zb_v, 2},
}};

const Generator& generator(ScheduleKind kind) {
  return kGenerators[static_cast<std::size_t>(kind)];
}

}  // namespace

ComputeOrder compute_order(ScheduleKind kind, const PipelineShape& shape, int stage) {
  return generator(kind).order(shape, stage);
}

std::optional<std::string> schedule_violation(ScheduleKind kind, const PipelineShape& shape,
                                              bool forward_only) {
  if (shape.stages < 1 || shape.microbatches < 1 || shape.chunks_per_stage < 1) {
    return fmt::format("{} stages, {} chunks a stage and {} micro-batches: each must be at least 1",
                       shape.stages, shape.chunks_per_stage, shape.microbatches);
  }
  // Instruction::peer has 16 bits; a list of more than 2^30 instructions is a mistyped number.
  constexpr std::int64_t kMostPerStage = std::int64_t{1} << 28;
  const std::int64_t per_stage = std::int64_t{shape.microbatches} * shape.chunks_per_stage;
  if (shape.stages > std::numeric_limits<std::int16_t>::max() || per_stage > kMostPerStage) {
    return fmt::format("{} stages and {} chunk micro-batches a stage are more than {} and {}",
                       shape.stages, per_stage, std::numeric_limits<std::int16_t>::max(),
                       kMostPerStage);
  }
  const int wanted = generator(kind).chunks_per_stage;
  if (wanted != 0 && shape.chunks_per_stage != wanted) {
    return fmt::format("this schedule has {} chunk{} a stage, found {}", wanted,
                       wanted == 1 ? "" : "s", shape.chunks_per_stage);
  }
  if (kind == ScheduleKind::Interleaved && !forward_only) return interleaving_violation(shape);
  return std::nullopt;
}

Schedule build_schedule(ScheduleKind kind, int stages, int chunks_per_stage, int microbatches,
                        const ScheduleOptions& options) {
  const PipelineShape shape{stages, chunks_per_stage, microbatches, options.group_size};
  if (const auto violation = schedule_violation(kind, shape, options.forward_only)) {
    throw profiles::InputError("schedule", *violation);
  }
  std::vector<ComputeOrder> orders(static_cast<std::size_t>(stages));
  for (int stage = 0; stage < stages; ++stage) {
    orders[static_cast<std::size_t>(stage)] =
        options.forward_only ? forward_only(kind, shape, stage) : compute_order(kind, shape, stage);
  }
  return lower(kind, shape, std::move(orders), options);
}

}  // namespace meshplan::planner
