#pragma once
#include <string>
#include <vector>

#include "planner/schedule/build_schedule.h"
#include "planner/schedule/pipeline_shape.h"
#include "planner/schedule/schedule.h"

namespace meshplan::planner {

/// Turns the compute order of each stage into whole programs: transfers, collectives, optimizer.
///
///   ParameterGather of each chunk in order of use | compute and transfers | OptimizerSync |
///   OptimizerStep;   GradientReduce after the last weight gradient of its chunk, or after all
///   compute (ScheduleOptions::overlap_gradient_reduce)
///
/// All stages are stepped together on a clock on which F, B, W take one tick and a whole backward
/// two. When an instruction ends, its send is appended to its own list and the matching receive to
/// the other stage's list, at the same moment. Each list is thus the projection of one global
/// sequence in which every transfer is a single event, so blocking sends and receives cannot
/// deadlock: the first event of that sequence that has not happened can always happen. Transfers
/// with no compute between them form one `group` (1F1B's steady "send forward, receive backward");
/// posting them together only posts some of them earlier, so the argument stands.
///
/// Time and memory are linear in the schedule; each list is allocated once, at its final size.
/// `orders` must hold each part of each (chunk, micro-batch) once, on the chunk's stage. Throws
/// InputError at `where` naming who waits for whom if they cannot be completed in their order.
Schedule lower(ScheduleKind kind, const PipelineShape& shape, std::vector<ComputeOrder> orders,
               const ScheduleOptions& options, const std::string& where = "schedule");

}  // namespace meshplan::planner
