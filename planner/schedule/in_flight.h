#pragma once
#include <span>

#include "planner/schedule/pipeline_shape.h"
#include "planner/schedule/schedule.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// Activations in flight: what a stage keeps for backward, at the worst moment of a step.
///
///   kind          micro-batches x chunks alive on stage i of p (m micro-batches)
///   gpipe         m
///   1f1b          min(m, p - i)
///   interleaved   min(m v, 2 (p - 1 - i) + 1 + (v - 1) N), of L / (p v) layers each
///   zb-h1         min(m, p)             from F to W
///   zb-h2         min(m, 2p - 1)        from F to W
///   zb-v          2p                    from F to W, m >= 2p - 1, of L / 2p layers each
///   forward only  1
///
/// Under the split backward a micro-batch gives `activations` - `until_weight_grad` back at B and
/// the rest at W. Closed forms; each is tested against walking the schedule it speaks of.
/// Source: reference forms of Narayanan et al. (SC 2021), Qi et al. (ICLR 2024), checked there and
/// here by counting.

/// Live (micro-batch, chunk) pairs on `stage` at the worst moment, F to the last of B and W.
int in_flight(ScheduleKind kind, const PipelineShape& shape, int stage);

/// Bytes that these hold when chunks differ: `activations[c]` per micro-batch of chunk c, of which
/// `until_weight_grad[c]` stay until W (split backward only; no more than activations[c]; empty:
/// all of it). O(p) for zb-v with fewer than 2p - 1 micro-batches and O(m v) for an interleaving
/// whose last group is short, else O(v^2).
profiles::Bytes peak_activation_bytes(ScheduleKind kind, const PipelineShape& shape, int stage,
                                      std::span<const profiles::Bytes> activations,
                                      std::span<const profiles::Bytes> until_weight_grad = {});
/// The same with the default group size.
profiles::Bytes peak_activation_bytes(ScheduleKind kind, int stages, int chunks_per_stage,
                                      int microbatches, int stage,
                                      std::span<const profiles::Bytes> activations,
                                      std::span<const profiles::Bytes> until_weight_grad = {});

/// The same by walking `stage`'s list of a schedule with the bytes of Schedule::chunks.
profiles::Bytes peak_activation_bytes(const Schedule& schedule, int stage);
/// Live (micro-batch, chunk) pairs by walking.
int counted_in_flight(const Schedule& schedule, int stage);

}  // namespace meshplan::planner
