#pragma once
#include <optional>
#include <string>

#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` under interleaved 1F1B: each stage owns v chunks (stage, stage + p,
/// ...) and sends groups of N micro-batches through one chunk after the other, so that the pipeline
/// fills v times faster.
///
/// Stage 1 of 2, v = 2, N = 2, 4 micro-batches; a = chunk 1, b = chunk 3:
///   Fa0 Fa1 | Fb0 Bb0  Fb1 Bb1  Fa2 Ba0  Fa3 Ba1  Fb2 Bb2  Fb3 Bb3 | Ba2 Ba3
///   warm-up |                     steady state                     | drain
///
/// Warm-up is min(m v, 2 (p - 1 - stage) + (v - 1) N) forwards; one more than that many chunk
/// activations are live at most. With one chunk a stage the order is that of 1F1B.
/// Source: Narayanan et al., Megatron-LM (SC 2021), section 2.2, and Megatron-Core's schedule
/// table.
ComputeOrder interleaved(const PipelineShape& shape, int stage);

/// Micro-batch group `g` holds micro-batches [g N, g N + size of it); only the last one may be
/// short.
int interleaved_group_size(const PipelineShape& shape, int group);
int interleaved_groups(const PipelineShape& shape);
/// Forwards before the first backward, less the one that pairs with it.
int interleaved_warm_up(const PipelineShape& shape, int stage);

/// Why these degrees cannot be interleaved, in words; none if they can. m mod N must be 0 or at
/// least p: with a shorter last group a stage waits for a chunk that its neighbour schedules later,
/// which is a deadlock (p 4, v 3, m 5) or a bubble far beyond the form (p 4, v 2, m 5).
std::optional<std::string> interleaving_violation(const PipelineShape& shape);

}  // namespace meshplan::planner
