#pragma once
#include <utility>
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

  /// Runs `communicate` on the queue of `group`, after what has been computed and before what will
  /// be; recorded inside the instruction as `term`, on the compute stream.
  template <typename Communicate>
  void exposed(planner::Term term, const Communicator& group, Communicate communicate) {
    const Moment begin = device_.record();
    device_.order(begin, group.queue());
    communicate();
    const Moment end = device_.record(group.queue());
    device_.order(end, Queue::Compute);
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
  /// A stream to show a transfer on, and the instruction that it belongs to.
  using Shown = std::pair<planner::Stream, int>;

  /// Runs `transfer` on the queue of `group` and records it on streams of their own, as dp or as
  /// pipeline transfer. `after_computing`: it starts after what has been computed so far. Gives the
  /// moment when it is done, which nothing waits for yet; a device that is not asynchronous stops
  /// computing for it, and so does every device for a group on the compute queue.
  template <typename Run>
  Moment transferred(const std::vector<Shown>& shown, const Communicator& group,
                     bool after_computing, Run transfer) {
    const bool beside = device_.asynchronous() && group.queue() != Queue::Compute;
    if (beside && after_computing) device_.order(device_.record(), group.queue());
    const Moment begin = device_.record(group.queue());
    transfer();
    const Moment end = device_.record(group.queue());
    for (const auto& [stream, instruction] : shown) {
      mark(instruction, stream,
           stream == planner::Stream::DataParallel ? planner::Term::DataParallel
                                                   : planner::Term::PipelineTransfer,
           begin, end);
    }
    if (!beside) {
      close(planner::Stream::Compute, term_, since_, begin);
      since_ = end;
    }
    return end;
  }
  /// One transfer of this instruction, after what has been computed.
  template <typename Run>
  Moment transferred(planner::Stream stream, const Communicator& group, Run transfer) {
    return transferred({{stream, instruction_}}, group, true, transfer);
  }
  /// Computing goes on after `moment` of another queue; until then it is idle.
  void after(Moment moment) {
    if (device_.asynchronous()) idle([&] { device_.order(moment, Queue::Compute); });
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
    mark(instruction_, stream, term, start, end);
  }
  void mark(int instruction, planner::Stream stream, planner::Term term, Moment start, Moment end) {
    if (start.mark == end.mark) return;
    marks_.push_back({{rank_, instruction, step_, stream, term, {}, {}}, start, end});
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
