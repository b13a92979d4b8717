#include "planner/simulate/critical_path.h"

#include <algorithm>
#include <optional>

#include "planner/schedule/dependencies.h"
#include "planner/simulate/terms.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// An instruction of one step as the timeline shows it.
struct Node {
  int rank = 0, instruction = 0, step = 0;
  Stream stream = Stream::Compute;
  Seconds start{0}, end{0};
};

constexpr bool on_compute_stream(Action action) {
  return is_compute(action) || action == Action::OptimizerSync || action == Action::OptimizerStep;
}
constexpr bool is_collective(Action action) {
  return action == Action::GradientReduce || action == Action::ParameterGather;
}

class Walk {
 public:
  Walk(const Schedule& schedule, const Timeline& timeline)
      : schedule_(schedule), timeline_(timeline) {
    std::size_t instructions = 0;
    for (const auto& program : schedule.programs) {
      base_.push_back(instructions);
      instructions += program.size();
    }
    lane_ = instructions;
    nodes_.resize(lane_ * (timeline.steps + 1));
    sent_at_.resize(2 * schedule.chunks.size() * schedule.microbatches);
    collectives_.resize(schedule.stages);
    for (int rank = 0; rank < schedule.stages; ++rank) note_transfers(rank);
    for (std::size_t i = 0; i < timeline.spans.size(); ++i) note_span(timeline.spans[i]);
  }

  CriticalPath back_from(int rank, Window window) {
    CriticalPath path;
    std::optional<Node> node = last_of_step(rank, window.end);
    Seconds at = window.end;
    while (at > window.start) {
      if (!node || node->end <= window.start) {
        push(path, {node ? node->rank : rank, -1, 0, Stream::Compute, window.start, at});
        break;
      }
      if (node->end < at) {  // nothing that we know of held it up
        push(path, {node->rank, -1, node->step, Stream::Compute, node->end, at});
        at = node->end;
      }
      const Binding held = binding(*node);
      const Seconds from = std::max(std::min(held.since, at), window.start);
      push(path, {node->rank, node->instruction, node->step, node->stream, from, at});
      at = from;
      node = held.by;
    }
    std::reverse(path.segments.begin(), path.segments.end());
    for (const CriticalSegment& segment : path.segments) add_terms(segment, path.terms);
    return path;
  }

 private:
  /// What a node waited for last, and when that was over. Mostly the start of the node, but a
  /// forward may run beside the gather that it waits for.
  struct Binding {
    std::optional<Node> by;
    Seconds since{0};
    void consider(const std::optional<Node>& other) {
      if (other && (!by || other->end > by->end)) by = other;
    }
  };

  [[nodiscard]] std::size_t slot(bool backward, int chunk, int microbatch) const {
    return (static_cast<std::size_t>(backward ? schedule_.chunk_count() : 0) + chunk) *
               schedule_.microbatches +
           microbatch;
  }

  void note_transfers(int rank) {
    const auto& program = schedule_.programs[rank];
    for (std::size_t i = 0; i < program.size(); ++i) {
      const Instruction& in = program[i];
      // A send is kept where its receiver looks for it.
      if (in.action == Action::SendForward)
        sent_at_[slot(false, in.chunk + 1, in.microbatch)] = {rank, static_cast<int>(i)};
      if (in.action == Action::SendBackward)
        sent_at_[slot(true, in.chunk - 1, in.microbatch)] = {rank, static_cast<int>(i)};
      if (is_collective(in.action)) collectives_[rank].push_back(static_cast<int>(i));
    }
  }

  void note_span(const Span& span) {
    if (span.instruction < 0 || span.step < -1 || span.step >= timeline_.steps) return;
    auto& node = nodes_[(span.step + 1) * lane_ + base_[span.rank] + span.instruction];
    if (!node)
      node = Node{span.rank, span.instruction, span.step, span.stream, span.start, span.end};
    node->end = std::max(node->end, span.end);
  }

  [[nodiscard]] std::optional<Node> find(int rank, int index, int step) const {
    if (index < 0 || step < -1 || step >= timeline_.steps) return std::nullopt;
    return nodes_[(step + 1) * lane_ + base_[rank] + index];
  }

  /// The compute-stream instruction before `index` in list order, in the step before if need be.
  [[nodiscard]] std::optional<Node> previous(int rank, int index, int step) const {
    const auto& program = schedule_.programs[rank];
    for (; step >= -1; --step, index = static_cast<int>(program.size()))
      while (--index >= 0)
        if (on_compute_stream(program[index].action)) {
          if (auto node = find(rank, index, step)) return node;
        }
    return std::nullopt;
  }

  /// What ended last by `time`, where the walk begins: on the rank, or before a barrier on any.
  [[nodiscard]] std::optional<Node> last_of_step(int rank, Seconds time) const {
    std::optional<Node> last;
    for (const auto& node : nodes_) {
      if (!node || node->end > time || node->stream > Stream::DataParallel) continue;
      if (node->rank != rank && !schedule_.global_sync) continue;
      // Of those that end together the one that began last: the barrier, even if it costs nothing.
      if (!last || node->end > last->end || (node->end == last->end && node->start > last->start))
        last = node;
    }
    return last;
  }

  [[nodiscard]] Binding binding(const Node& node) const {
    const Instruction& in = schedule_.programs[node.rank][node.instruction];
    Binding out{previous(node.rank, node.instruction, node.step), node.start};
    switch (in.action) {
      case Action::OptimizerSync:
        for (int rank = 0; rank < schedule_.stages; ++rank) {
          const auto& program = schedule_.programs[rank];
          const auto sync = std::find_if(program.begin(), program.end(), [](const Instruction& i) {
            return i.action == Action::OptimizerSync;
          });
          out.consider(previous(rank, static_cast<int>(sync - program.begin()), node.step));
          out.consider(last_collective(rank, node.step, Action::GradientReduce, node.end));
        }
        break;
      case Action::OptimizerStep:
        out.consider(last_collective(node.rank, node.step, Action::GradientReduce, node.start));
        break;
      case Action::GradientReduce: {
        const auto before = last_on(node.rank, node.stream, node.start);
        out.by = before && before->end >= node.start
                     ? before
                     : last_on(node.rank, Stream::Compute, node.start);
        break;
      }
      case Action::SendForward:
      case Action::SendBackward:
      case Action::ParameterGather:
        if (!out.by || out.by->end < node.start) {
          const auto before = last_on(node.rank, node.stream, node.start);
          if (before) out.by = before;
        }
        break;
      default:
        out.consider(arrival(node.rank, in, node.step));
        if (in.action == Action::Forward) consider_gathers(node, in, out);
        break;
    }
    return out;
  }

  /// A forward waits for gathers before it, and may run beside the last ones of its own chunk.
  void consider_gathers(const Node& node, const Instruction& in, Binding& out) const {
    out.consider(last_collective(node.rank, node.step, Action::ParameterGather, node.start));
    const auto own =
        last_collective(node.rank, node.step, Action::ParameterGather, node.end, in.chunk);
    if (own && own->end > node.start) out = {own, own->end};
  }

  /// What began last on a stream before `time`.
  [[nodiscard]] std::optional<Node> last_on(int rank, Stream stream, Seconds time) const {
    const auto spans = spans_of(timeline_, rank);
    auto after =
        std::lower_bound(spans.begin(), spans.end(), time, [&](const Span& span, Seconds t) {
          return span.stream != stream ? span.stream < stream : span.start < t;
        });
    if (after == spans.begin() || (--after)->stream != stream) return std::nullopt;
    return find(rank, after->instruction, after->step);
  }

  /// The transfer that brings what `in` needs.
  [[nodiscard]] std::optional<Node> arrival(int rank, const Instruction& in, int step) const {
    const bool backward = gives_input_grad(in.action);
    if (!backward && in.action != Action::Forward) return std::nullopt;
    const int from = in.chunk + (backward ? 1 : -1);
    if (from < 0 || from >= schedule_.chunk_count() || schedule_.chunks[from].stage == rank)
      return std::nullopt;
    const auto [sender, index] = sent_at_[slot(backward, in.chunk, in.microbatch)];
    return index < 0 ? std::nullopt : find(sender, index, step);
  }

  /// The collective of this kind (of this chunk, if one is named) that ends last, by `time`.
  [[nodiscard]] std::optional<Node> last_collective(int rank, int step, Action action, Seconds time,
                                                    int chunk = -1) const {
    std::optional<Node> last;
    for (const int index : collectives_[rank]) {
      const Instruction& in = schedule_.programs[rank][index];
      if (in.action != action || (chunk >= 0 && in.chunk != chunk)) continue;
      const auto found = find(rank, index, step);
      if (found && found->end <= time && (!last || found->end > last->end)) last = found;
    }
    return last;
  }

  static void push(CriticalPath& path, const CriticalSegment& segment) {
    if (segment.start < segment.end) path.segments.push_back(segment);
  }

  void add_terms(const CriticalSegment& segment, Terms& terms) const {
    const Seconds length = segment.end - segment.start;
    if (segment.instruction < 0) {
      terms.bubble += length;
    } else if (segment.stream == Stream::Compute) {
      const auto spans = spans_of(timeline_, segment.rank);
      const auto begin = std::lower_bound(
          spans.begin(), spans.end(), segment.start,
          [](const Span& s, Seconds time) { return s.stream == Stream::Compute && s.end <= time; });
      auto end = begin;
      while (end != spans.end() && end->stream == Stream::Compute && end->start < segment.end)
        ++end;
      const Terms part = terms_of({begin, end}, {segment.start, segment.end});
      terms.compute += part.compute;
      terms.optimizer += part.optimizer;
      terms.tp += part.tp;
      terms.cp += part.cp;
      terms.ep += part.ep;
      terms.dp += part.dp;
      terms.pp += part.pp;
      terms.overhead += part.overhead;
      terms.bubble += part.bubble;
    } else if (segment.stream == Stream::DataParallel) {
      terms.dp += length;
    } else {
      terms.pp += length;
    }
  }

  struct Sender {
    int rank = 0, instruction = -1;
  };
  const Schedule& schedule_;
  const Timeline& timeline_;
  std::vector<std::size_t> base_;  ///< of each rank's instructions in a lane
  std::size_t lane_ = 0;           ///< instructions of one step
  std::vector<std::optional<Node>> nodes_;
  std::vector<Sender> sent_at_;                ///< by the slot of the receiver
  std::vector<std::vector<int>> collectives_;  ///< by rank
};

}  // namespace

CriticalPath critical_path(const Schedule& schedule, const Timeline& timeline, int step) {
  const int rank = step_terms(timeline, step).rank;
  return Walk(schedule, timeline).back_from(rank, period_of(timeline, rank, step));
}

}  // namespace meshplan::planner
