#pragma once
#include "planner/layout/layout.h"
#include "planner/simulate/costs.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// A time that planner/simulate never beats for the schedule of `kind` with these prices: what the
/// search prunes with. O(chunks), no schedule is made.
///
/// Assumes what build_schedule makes: interleaving groups of `stages`, a Recompute at the start of
/// each backward (B below holds its price), the buckets that are priced. Missing hops are free.
/// `global_sync` = ranks wait for each other at the optimizer; without it a period is no shorter
/// than the work of any one rank.
///
/// Proof. Every bound is the length of a chain of events of which each can start only after the one
/// before it has ended, from the moment all ranks leave the barrier to the moment they leave the
/// next. Shared links only make hops and collectives longer. The chains are built of three pieces:
///
///   head(X)   earliest start of an instruction X on a rank: through the chunks before it (forward)
///             and, for a backward, through the chunks behind it; after the optimizer and the
///             gathers that precede the first forward; after what the rank runs before X;
///   between   all work that the rank's list holds from X to Y, for it runs one at a time: the
///             rank's whole work less what lies before X and after Y;
///   tail(Y)   least time from the end of Y to the barrier: gradients through the chunks before,
///             what the rank runs after Y, the last gradient buckets, and the norm's all-reduce.
///
/// so  T >= max over ranks [ max_X (head(X) - before(X)) + work + max_Y (tail(Y) - after(Y)) ],
/// where X runs over first forwards (and first input gradients under a split backward), Y over the
/// last backward of each chunk and the rank's last instruction. With equal stages and free hops
/// this is exact for GPipe, 1F1B and interleaving, and reproduces max(F, B, F + B - W) of ZB-H1 and
/// max(F, B - F, F + B - 2W) of ZB-H2. Further chains:
///
///   gpipe      all forwards end on the last stage before its first backward starts:
///              max_i [forwards through i] + max_i [backwards through i]  (exact, uneven too)
///   1f1b, zb-h a stage with q micro-batches in flight starts forward k + q after backward k, so a
///              round trip R_i from stage i to the last stage and back is made every q_i
///              micro-batches: head + R_0 + n R_i + R_j + tail with n q_i + q_j <= m - 1
///   all        the first micro-batch once through all chunks and back;
///              the data-parallel stream of a rank: optimizer, every gather, every reduction
profiles::Seconds step_lower_bound(ScheduleKind kind, const ScheduleCosts& costs, int stages,
                                   int chunks_per_stage, int microbatches, bool global_sync = true);

}  // namespace meshplan::planner
