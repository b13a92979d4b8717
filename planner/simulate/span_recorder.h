#pragma once
#include <cstdint>
#include <vector>

#include "planner/simulate/priced_schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// Notes what a pass of the simulator does: everything, one rank only, or nothing.
class SpanRecorder {
 public:
  void record_nothing() { begin(kNobody); }
  void record_rank(int rank) { begin(rank); }
  void record_all(const Schedule& schedule, const PricedSchedule& priced);

  [[nodiscard]] bool wants(int rank) const { return rank_ == rank || rank_ == kEverybody; }

  /// An instruction of the compute stream, cut in its serial parts. One without any work leaves a
  /// span of no length, so that every instruction can be found.
  void compute(int rank, int instruction, int step, profiles::Seconds start, profiles::Seconds end,
               const Work& work);
  void add(int rank, int instruction, int step, Stream stream, Term term, profiles::Seconds start,
           profiles::Seconds end) {
    spans_.push_back({rank, instruction, step, stream, term, start, end});
  }
  /// A transfer, on the sender and on the receiver. `slot` is the receiver's, of the first step.
  void transfer(int sender, int instruction, int step, int receiver, std::int64_t slot,
                bool forward, profiles::Seconds start, profiles::Seconds arrival);

  /// Sorted by (rank, stream, start, end). Read until the next recording begins.
  std::vector<Span>& sorted();

 private:
  static constexpr int kNobody = -1, kEverybody = -2;
  void begin(int rank) {
    rank_ = rank;
    spans_.clear();
    receive_at_.clear();
  }

  int rank_ = kNobody;
  std::vector<Span> spans_;
  std::vector<std::int32_t> receive_at_;  ///< receive instruction by slot, when all is recorded
};

}  // namespace meshplan::planner
