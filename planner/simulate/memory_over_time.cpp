#include "planner/simulate/memory_over_time.h"

#include "planner/schedule/dependencies.h"
#include "planner/simulate/terms.h"

namespace meshplan::planner {

using profiles::Bytes;
using profiles::Seconds;

MemoryOverTime memory_over_time(const Schedule& schedule, const Timeline& timeline, int rank,
                                Bytes resident) {
  MemoryOverTime out;
  out.points.push_back({Seconds{0}, resident});
  out.peak = resident;
  Bytes now = resident;
  bool recomputed = false;  // the Recompute before this backward holds the working memory
  const auto change = [&](Seconds time, Bytes by, int instruction) {
    if (by == Bytes{}) return;
    now += by;
    if (out.points.back().time == time)
      out.points.back().bytes = now;
    else
      out.points.push_back({time, now});
    if (now > out.peak) {
      out.peak = now;
      out.peak_time = time;
      out.peak_instruction = instruction;
    }
  };

  const auto spans = spans_of(timeline, rank);
  for (std::size_t i = 0; i < spans.size() && spans[i].stream == Stream::Compute;) {
    const Span& first = spans[i];
    Seconds end = first.end;
    // The parts of one instruction follow each other.
    for (; i < spans.size() && spans[i].stream == Stream::Compute &&
           spans[i].instruction == first.instruction && spans[i].step == first.step;
         ++i)
      end = spans[i].end;
    const Instruction& in = schedule.programs[rank][first.instruction];
    if (!is_compute(in.action)) continue;
    const ChunkFacts& chunk = schedule.chunks[in.chunk];
    const Bytes none{};
    switch (in.action) {
      case Action::Forward:
        change(first.start, chunk.activations, first.instruction);
        if (schedule.forward_only) change(end, none - chunk.activations, first.instruction);
        break;
      case Action::Recompute:
        change(first.start, chunk.working, first.instruction);
        recomputed = true;
        break;
      case Action::Backward:
      case Action::InputGrad: {
        if (!recomputed) change(first.start, chunk.working, first.instruction);
        recomputed = false;
        const Bytes kept = in.action == Action::InputGrad ? chunk.until_weight_grad : none;
        change(end, kept - chunk.activations - chunk.working, first.instruction);
        break;
      }
      default:
        change(end, none - chunk.until_weight_grad, first.instruction);
        break;
    }
  }
  return out;
}

}  // namespace meshplan::planner
