#pragma once
#include <vector>

#include "planner/simulate/timeline.h"
#include "runtime/device/device.h"

namespace meshplan::runtime {

/// Cuts the time of one rank into spans while it runs. On the compute stream a span of compute is
/// interrupted by each tensor-parallel collective inside the instruction.
class Recorder {
 public:
  Recorder(Device& device, int rank) : device_(device), rank_(rank) {}

  void begin_instruction(int step, int instruction, planner::Term term) {
    step_ = step;
    instruction_ = instruction;
    term_ = term;
    since_ = device_.record();
  }
  void end_instruction() { close(planner::Stream::Compute, term_, since_, device_.record()); }

  /// Runs `communicate` and records it: inside the instruction as `term`, on the compute stream.
  template <typename Communicate>
  void exposed(planner::Term term, Communicate communicate) {
    const Moment begin = device_.record();
    communicate();
    const Moment end = device_.record();
    close(planner::Stream::Compute, term_, since_, begin);
    close(planner::Stream::Compute, term, begin, end);
    since_ = end;
  }
  /// Time that the instruction spent waiting, which is nobody's: a bubble.
  template <typename Wait>
  void idle(Wait wait) {
    const Moment begin = device_.record();
    wait();
    close(planner::Stream::Compute, term_, since_, begin);
    since_ = device_.record();
  }
  /// Runs `transfer` and records it on a stream of its own, as dp or as pipeline transfer.
  template <typename Transfer>
  void transferred(planner::Stream stream, Transfer transfer) {
    const Moment begin = device_.record();
    transfer();
    const Moment end = device_.record();
    close(planner::Stream::Compute, term_, since_, begin);
    close(stream,
          stream == planner::Stream::DataParallel ? planner::Term::DataParallel
                                                  : planner::Term::PipelineTransfer,
          begin, end);
    since_ = end;
  }

  /// A step of this rank begins (or the last one ends).
  void mark_step() { step_starts_.push_back(device_.record()); }
  [[nodiscard]] std::vector<profiles::Seconds> step_starts() const;

  /// The spans so far, ordered by (stream, start). Waits for the device.
  [[nodiscard]] std::vector<planner::Span> spans() const;

 private:
  struct Mark {
    planner::Span span;  ///< without times
    Moment start, end;
  };
  void close(planner::Stream stream, planner::Term term, Moment start, Moment end) {
    if (start.mark == end.mark) return;
    marks_.push_back({{rank_, instruction_, step_, stream, term, {}, {}}, start, end});
  }

  Device& device_;
  int rank_;
  int step_ = 0, instruction_ = 0;
  planner::Term term_ = planner::Term::Compute;
  Moment since_;
  std::vector<Mark> marks_;
  std::vector<Moment> step_starts_;
};

}  // namespace meshplan::runtime
