#pragma once
#include <algorithm>
#include <cstddef>

#include "planner/simulate/pass.h"

namespace meshplan::planner {

/// Where one rank stands in its program, step after step; both passes keep one a rank.
///
/// With a barrier its state there is the same in every step. So time 0 is where all ranks leave the
/// barrier of a step before the first: what stands after it in the programs comes first.
struct ProgramWalk {
  const Instruction *begin = nullptr, *cursor = nullptr, *stop = nullptr;
  profiles::Seconds now{0};   ///< end of the last compute-stream instruction
  profiles::Seconds busy{0};  ///< of the compute stream in the last step
  int step = 0;
  bool before_barrier = true;
  bool reduced = false;  ///< gradient buckets of this step have been issued

  /// Of the instruction at `cursor`.
  [[nodiscard]] int index() const { return static_cast<int>(cursor - begin); }
};

/// The programs of a schedule, walked for `steps` steps.
class ProgramWalks {
 public:
  ProgramWalks(const Schedule& schedule, const PricedSchedule& priced, int steps,
               PassResult& result)
      : schedule_(schedule), priced_(priced), steps_(steps), result_(result) {}

  /// Room for the answers, before the first rank starts.
  void reset() {
    result_.step_starts.assign(static_cast<std::size_t>(steps_ + 1) * priced_.ranks,
                               profiles::Seconds{0});
    result_.busy.assign(priced_.ranks, profiles::Seconds{0});
  }

  void start(int rank, ProgramWalk& walk) {
    const auto& program = schedule_.programs[rank];
    walk.begin = walk.cursor = program.data();
    walk.stop = walk.begin + program.size();
    if (!priced_.barrier) return;
    walk.step = -1;
    leave_barrier(rank, walk, profiles::Seconds{0});
  }

  /// At the end of the program, all gradients reduced: on to the next step. False: it was the last.
  bool next_step(int rank, ProgramWalk& walk) {
    if (!priced_.barrier) note_start(rank, walk);
    ++walk.step;
    if (walk.step == steps_) return false;
    if (!priced_.barrier && walk.step == steps_ - 1) walk.busy = profiles::Seconds{0};
    walk.cursor = walk.begin;
    walk.reduced = false;
    walk.before_barrier = true;
    walk.stop = walk.begin + (priced_.barrier ? std::size_t(priced_.barrier_at[rank])
                                              : schedule_.programs[rank].size());
    return true;
  }

  /// `rank` waited at the barrier since `opened` and goes on at `leave`. False: it was the last
  /// step.
  bool pass_barrier(int rank, ProgramWalk& walk, profiles::Seconds opened, profiles::Seconds leave,
                    SpanRecorder& recorder) {
    if (recorder.wants(rank) && walk.stop < walk.begin + schedule_.programs[rank].size())
      recorder.add(rank, walk.index(), walk.step, Stream::Compute, Term::DataParallel, opened,
                   leave);
    const bool last = walk.step == steps_ - 1;
    leave_barrier(rank, walk, leave);
    note_start(rank, walk);
    return !last;
  }

 private:
  void note_start(int rank, const ProgramWalk& walk) {
    result_.step_starts[static_cast<std::size_t>(walk.step + 1) * priced_.ranks + rank] = walk.now;
  }

  void leave_barrier(int rank, ProgramWalk& walk, profiles::Seconds leave) {
    walk.now = leave;
    walk.before_barrier = false;
    walk.reduced = true;
    if (walk.step < steps_ - 1) walk.busy = profiles::Seconds{0};
    const Instruction* end = walk.begin + schedule_.programs[rank].size();
    walk.cursor = std::min(walk.begin + priced_.barrier_at[rank] + 1, end);
    walk.stop = end;
  }

  const Schedule& schedule_;
  const PricedSchedule& priced_;
  const int steps_;
  PassResult& result_;
};

}  // namespace meshplan::planner
