#pragma once
#include <cstdint>
#include <vector>

#include "planner/schedule/schedule.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// What a rank does at the same time. Sends run on the Pipeline streams of the sender; the receiver
/// shows the same transfer on its Receive streams, from the moment data moves (not while it waits).
enum class Stream : std::uint8_t {
  Compute,
  PipelineForward,
  PipelineBackward,
  DataParallel,
  ReceiveForward,
  ReceiveBackward
};

/// To which term an instant belongs, in the order of precedence of DESIGN.md section 1.
enum class Term : std::uint8_t {
  Compute,
  Optimizer,
  TensorParallel,
  ContextParallel,
  ExpertParallel,
  DataParallel,
  PipelineTransfer,
  Overhead,
  Bubble
};

/// A stretch of one stream of one rank that does one thing.
struct Span {
  std::int32_t rank = 0;         ///< pipeline stage (predicted) or global rank (measured)
  std::int32_t instruction = 0;  ///< index in the rank's program
  std::int32_t step = 0;
  Stream stream = Stream::Compute;
  Term term = Term::Compute;
  profiles::Seconds start{0}, end{0};
};

/// Who did what when: the same type from the simulator and from a measured run. Spans are ordered
/// by (rank, stream, start).
struct Timeline {
  int ranks = 0;
  int steps = 0;
  std::vector<Span> spans;
  /// When rank r begins step k: step_starts[k * ranks + r], k = 0 .. steps (the last row closes the
  /// last step). With a barrier at the optimizer a step begins as the rank leaves the barrier of
  /// the step before, so that step's optimizer (Span::step = k - 1) lies at its head. May be empty
  /// in a measured timeline: then a step begins with its first compute-stream span.
  std::vector<profiles::Seconds> step_starts;
};

/// One step of one rank, cut in disjoint terms that add up to `step`.
struct Terms {
  profiles::Seconds compute{0}, optimizer{0}, tp{0}, cp{0}, ep{0}, dp{0}, pp{0}, overhead{0},
      bubble{0};
  [[nodiscard]] profiles::Seconds sum() const {
    return compute + optimizer + tp + cp + ep + dp + pp + overhead + bubble;
  }
};

}  // namespace meshplan::planner
