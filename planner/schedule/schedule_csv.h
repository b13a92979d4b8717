#pragma once
#include <string>
#include <string_view>

#include "planner/schedule/build_schedule.h"
#include "planner/schedule/schedule.h"

namespace meshplan::planner {

/// The compute part of a schedule in the CSV form that torch.distributed.pipelining loads: one row
/// a pipeline rank, one cell an instruction, <chunk><F|I|W|B><micro-batch>:
///
///   0F0,0F1,0B0,0B1        F forward, I input gradient, W weight gradient, B both at once
///   1F0,1B0,1F1,1B1        (torch calls a chunk "stage")
///
/// Empty cells, which torch writes where a rank idles, are passed over. Recompute, transfers,
/// collectives and the optimizer are not part of the form.
std::string schedule_csv(const Schedule& schedule);

/// Reads it and adds what the form leaves out (lower.h). Chunks must lie round robin over the rows,
/// or in a V (rank r: r and 2p - 1 - r); Schedule::kind says which of the two and nothing more:
/// zb-v for a V, else interleaved, or with one chunk a row 1f1b. A file without backward is
/// forward_only. Throws InputError: with `file` and line for a cell that is no instruction, is on a
/// second row's chunk or is given twice; with `file` for instructions that are missing and for
/// orders that cannot complete (who waits for whom).
Schedule schedule_from_csv(std::string_view text, const std::string& file,
                           const ScheduleOptions& options = {});

}  // namespace meshplan::planner
