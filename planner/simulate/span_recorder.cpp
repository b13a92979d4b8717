#include "planner/simulate/span_recorder.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace meshplan::planner {

using profiles::Seconds;

void SpanRecorder::record_all(const Schedule& schedule, const PricedSchedule& priced) {
  begin(kEverybody);
  receive_at_.assign(priced.slots(), -1);
  for (const auto& program : schedule.programs)
    for (std::size_t i = 0; i < program.size(); ++i) {
      const Instruction& in = program[i];
      if (in.action == Action::ReceiveForward)
        receive_at_[priced.input_slot(in.chunk, in.microbatch)] = static_cast<std::int32_t>(i);
      if (in.action == Action::ReceiveBackward)
        receive_at_[priced.gradient_slot(in.chunk, in.microbatch)] = static_cast<std::int32_t>(i);
    }
}

void SpanRecorder::compute(int rank, int instruction, int step, Seconds start, Seconds end,
                           const Work& work) {
  const std::pair<Term, Seconds> parts[] = {
      {Term::Compute, work.compute},    {Term::TensorParallel, work.tp},
      {Term::ContextParallel, work.cp}, {Term::ExpertParallel, work.ep},
      {Term::DataParallel, work.dp},    {Term::Overhead, work.overhead},
      {Term::PipelineTransfer, work.pp}};
  const std::size_t first = spans_.size();
  Seconds at = start;
  for (const auto& [term, length] : parts) {
    if (length <= Seconds{0}) continue;
    add(rank, instruction, step, Stream::Compute, term, at, at + length);
    at += length;
  }
  if (spans_.size() == first)
    add(rank, instruction, step, Stream::Compute, Term::Compute, start, end);
  spans_.back().end = end;  // the sum of the parts may differ from it in the last bit
}

void SpanRecorder::transfer(int sender, int instruction, int step, int receiver, std::int64_t slot,
                            bool forward, Seconds start, Seconds arrival) {
  if (wants(sender))
    add(sender, instruction, step, forward ? Stream::PipelineForward : Stream::PipelineBackward,
        Term::PipelineTransfer, start, arrival);
  if (wants(receiver))
    add(receiver, receive_at_.empty() ? -1 : receive_at_[slot], step,
        forward ? Stream::ReceiveForward : Stream::ReceiveBackward, Term::PipelineTransfer, start,
        arrival);
}

std::vector<Span>& SpanRecorder::sorted() {
  const auto key = [](const Span& s) {
    return std::tuple(s.rank, s.stream, s.start, s.end, s.step, s.instruction);
  };
  std::sort(spans_.begin(), spans_.end(),
            [&](const Span& a, const Span& b) { return key(a) < key(b); });
  return spans_;
}

}  // namespace meshplan::planner
