#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "profiles/units.h"

namespace meshplan::planner {

/// Layers to be cut into contiguous chunks, the embedding before the first and the head after the
/// last.
struct PartitionProblem {
  std::vector<profiles::Seconds> layers;  ///< one micro-batch's forward and backward of each
  profiles::Seconds embedding{0}, head{0};
  int chunks = 1;
  /// How often the slowest chunk counts against the time of the chunks before it: the micro-batches
  /// of a step. 0: only the slowest chunk counts.
  int microbatches = 0;
  /// Whether `chunk` has the memory for layers [first, first + count); empty: any chunk has.
  std::function<bool(int chunk, int first, int count)> fits = {};
};

/// Layers of each chunk. With t_i the time of chunk i and m `microbatches`, minimises
///
///   max_i [ m t_i + sum_{j < i} t_j ]        (max_i t_i for m = 0)
///
/// the step of 1F1B but for hops (a lower bound of it, exact when the slowest stage is the last;
/// see bounds.h), and among equals sum t_i^2, so that the other chunks are even too; then the
/// shorter chunks come first. Every chunk holds a layer, save that the embedding or the head may
/// stand alone when there are two chunks or more. None: no cut fits.
///
/// Exact, by dynamic programming over (chunk, first layer): O(L^2 chunks) times, fits called at
/// most once for each.
std::optional<std::vector<int>> balanced_partition(const PartitionProblem& problem);

}  // namespace meshplan::planner
