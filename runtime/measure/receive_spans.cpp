#include "runtime/measure/receive_spans.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "planner/layout/rank_place.h"
#include "planner/schedule/dependencies.h"
#include "runtime/execute/groups.h"

namespace meshplan::runtime {
namespace {

using planner::Action;
using planner::Instruction;
using planner::Span;

/// One transfer: the rank that sends it, step, whether forward, chunk that sends, micro-batch.
using Transmission = std::tuple<int, int, bool, int, int>;

/// The transfer that `span` is a side of; none for other spans.
std::optional<Transmission> transmission(const Span& span, const Training& training, bool sends) {
  const Coordinates at = coordinates_of(training.layout, span.rank);
  const auto& program = training.schedule.programs.at(static_cast<std::size_t>(at.pp));
  const Instruction& i = program.at(static_cast<std::size_t>(span.instruction));
  if (sends) {
    const bool shown = span.stream == planner::Stream::PipelineForward ||
                       span.stream == planner::Stream::PipelineBackward;
    if (!shown || !planner::is_send(i.action)) return std::nullopt;
    return Transmission{span.rank, span.step, i.action == Action::SendForward, i.chunk,
                        i.microbatch};
  }
  const bool shown = span.stream == planner::Stream::ReceiveForward ||
                     span.stream == planner::Stream::ReceiveBackward;
  if (!shown || !planner::is_receive(i.action)) return std::nullopt;
  const bool forward = i.action == Action::ReceiveForward;
  const int sender = planner::rank_of(training.layout, {.tp = at.tp, .dp = at.dp, .pp = i.peer});
  return Transmission{sender, span.step, forward, forward ? i.chunk - 1 : i.chunk + 1,
                      i.microbatch};
}

}  // namespace

void begin_with_sender(planner::Timeline& timeline, const Training& training) {
  std::map<Transmission, profiles::Seconds> sent;
  for (const Span& span : timeline.spans) {
    if (const auto what = transmission(span, training, true)) sent[*what] = span.start;
  }
  for (Span& span : timeline.spans) {
    const auto what = transmission(span, training, false);
    if (!what) continue;
    const auto found = sent.find(*what);
    if (found != sent.end()) span.start = std::clamp(found->second, span.start, span.end);
  }
}

}  // namespace meshplan::runtime
