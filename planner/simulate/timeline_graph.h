#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// An instruction of one step as a timeline shows it, from its first span to the end of its last.
struct TimelineNode {
  int rank = 0, instruction = 0, step = 0;
  Stream stream = Stream::Compute;
  profiles::Seconds start{0}, end{0};
};

/// What a node waited for last, and when that was over: mostly the start of the node, but a forward
/// may run beside the gather that it waits for.
struct Binding {
  std::optional<TimelineNode> by;
  profiles::Seconds since{0};
};

/// The dependencies of a schedule on the clock of a timeline, predicted or measured. Both must
/// outlive the graph.
class TimelineGraph {
 public:
  TimelineGraph(const Schedule& schedule, const Timeline& timeline);

  /// None if the timeline does not show it.
  [[nodiscard]] std::optional<TimelineNode> find(int rank, int instruction, int step) const;

  /// Of all that `node` had to wait for (list order, transfer, bucket, stream, barrier) what ended
  /// last; on ties the compute before it on its own rank.
  [[nodiscard]] Binding binding(const TimelineNode& node) const;

  /// What ended last by `time`: on the rank, or under a barrier on any.
  [[nodiscard]] std::optional<TimelineNode> last_by(int rank, profiles::Seconds time) const;

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  struct Sender {
    int rank = 0, instruction = -1;
  };
  [[nodiscard]] std::size_t slot(bool backward, int chunk, int microbatch) const;
  void note_transfers(int rank);
  void note_span(const Span& span);
  [[nodiscard]] std::optional<TimelineNode> previous(int rank, int index, int step) const;
  [[nodiscard]] std::optional<TimelineNode> last_on(int rank, Stream stream,
                                                    profiles::Seconds time) const;
  [[nodiscard]] std::optional<TimelineNode> arrival(int rank, const Instruction& in,
                                                    int step) const;
  [[nodiscard]] std::optional<TimelineNode> last_collective(int rank, int step, Action action,
                                                            profiles::Seconds time,
                                                            int chunk = -1) const;
  void consider_gathers(const TimelineNode& node, const Instruction& in, Binding& out) const;

  const Schedule& schedule_;
  const Timeline& timeline_;
  std::vector<std::size_t> base_;  ///< of each rank's instructions in a lane
  std::size_t lane_ = 0;           ///< instructions of one step
  std::vector<std::optional<TimelineNode>> nodes_;
  std::vector<Sender> sent_at_;                ///< by the slot of the receiver
  std::vector<std::vector<int>> collectives_;  ///< by rank
};

}  // namespace meshplan::planner
