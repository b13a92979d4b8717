#include "planner/schedule/bounds.h"

#include <algorithm>
#include <vector>

#include "planner/schedule/delayed_weight_grad.h"
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

Seconds sum(const std::vector<Seconds>& times) {
  Seconds out{0};
  for (const Seconds t : times) out += t;
  return out;
}

/// Prices of one chunk, flat.
struct Chunk {
  int stage = 0;
  Seconds forward{0}, weight{0};
  /// Until the stage before may go on: B, or the whole backward; after the recomputation, which
  /// waits for the same gradient.
  Seconds gradient{0};
  Seconds from_before{0}, from_after{0};  ///< hops of its input and of its output gradient
  Seconds forward_head{0};                ///< head of its first forward
  Seconds backward_head{0};               ///< head of its first backward
  Seconds tail{0};  ///< from the end of its last B or Backward to the barrier, less sync
  [[nodiscard]] Seconds work() const { return forward + gradient + weight; }
};

class Bound {
 public:
  Bound(ScheduleKind kind, const ScheduleCosts& costs, int stages, int chunks_per_stage, int m)
      : kind_(kind),
        costs_(costs),
        p_(stages),
        v_(chunks_per_stage),
        m_(m),
        split_(kind == ScheduleKind::ZbH1 || kind == ScheduleKind::ZbH2 ||
               kind == ScheduleKind::ZbV),
        chunks_(static_cast<std::size_t>(stages) * static_cast<std::size_t>(chunks_per_stage)) {
    if (v_ == 1 && kind_ == ScheduleKind::Interleaved) kind_ = ScheduleKind::OneFOneB;
    for (int c = 0; c < count(); ++c) {
      Chunk& chunk = at(c);
      const ChunkCost& cost = costs.chunks[static_cast<std::size_t>(c)];
      chunk.stage = chunk_owner(kind_, p_, c);
      chunk.forward = cost.forward.total();
      chunk.gradient = cost.recompute.total() + cost.input_grad.total();
      (split_ ? chunk.weight : chunk.gradient) += cost.weight_grad.total();
      if (c == 0 || at(c - 1).stage == chunk.stage) continue;
      chunk.from_before = hop(costs.hops_forward, c - 1);
      at(c - 1).from_after = hop(costs.hops_backward, c);
    }
  }

  Seconds with_barrier() {
    forward_heads();
    backward_heads();
    tails();
    Seconds most = std::max(once_through(), round_trips());
    if (kind_ == ScheduleKind::GPipe) most = std::max(most, all_forwards_first());
    for (int s = 0; s < p_; ++s) {
      most = std::max({most, entry(s) + work(s) + exit(s), collectives(s)});
    }
    Seconds sync{0};
    for (const StageCost& stage : costs_.stages) sync = std::max(sync, stage.sync);
    return most + sync;
  }

  Seconds without_barrier() {
    Seconds most{0};
    for (int s = 0; s < p_; ++s) {
      most = std::max({most, ready_alone(s) + work(s) + reduction_tail(s), collectives(s)});
    }
    return most;
  }

 private:
  Chunk& at(int c) { return chunks_[static_cast<std::size_t>(c)]; }
  [[nodiscard]] int count() const { return static_cast<int>(chunks_.size()); }
  [[nodiscard]] int chunk_of(int stage, int local) const {
    return chunk_on_stage(kind_, p_, stage, local);
  }
  const ChunkCost& cost(int c) const { return costs_.chunks[static_cast<std::size_t>(c)]; }
  Seconds optimizer(int s) const { return costs_.stages[static_cast<std::size_t>(s)].optimizer; }

  static Seconds hop(const std::vector<HopCost>& hops, int c) {
    const auto k = static_cast<std::size_t>(c);
    return k < hops.size() ? hops[k].transfer + hops[k].latency - hops[k].early : Seconds{0};
  }

  [[nodiscard]] DelayedWeightGrad rule(int s) const {
    if (kind_ == ScheduleKind::ZbH1) return zb_h1_rule(p_, s);
    if (kind_ == ScheduleKind::ZbH2) return zb_h2_rule(p_, s);
    return {p_ - s, 0};  // 1f1b
  }
  /// Schedules in which a stage runs a fixed number of forwards ahead of its backwards.
  [[nodiscard]] bool runs_ahead() const {
    return kind_ == ScheduleKind::OneFOneB || kind_ == ScheduleKind::ZbH1 ||
           kind_ == ScheduleKind::ZbH2;
  }
  /// The counts of zb_v.h hold as they stand from here on.
  [[nodiscard]] bool full_v() const { return kind_ == ScheduleKind::ZbV && m_ >= 2 * p_ - 1; }
  /// Forwards of the first chunk of stage s before the first one of its second chunk.
  [[nodiscard]] int v_warm_up(int s) const { return std::min(m_, 2 * (p_ - s) - 1); }

  // --- head -------------------------------------------------------------------------------------

  /// When the optimizer and the gathers let the first forward of local chunk `local` start, its end
  /// held to 1/n of its work after the last of n overlapped gathers.
  Seconds gathered(int s, int local) {
    Seconds before = optimizer(s);
    for (int l = 0; l < v_; ++l) {
      if (costs_.overlap_parameter_gather && l == local) break;
      before += sum(cost(chunk_of(s, l)).parameter_gather);
    }
    if (!costs_.overlap_parameter_gather) return before;
    const int c = chunk_of(s, local);
    const auto& buckets = cost(c).parameter_gather;
    if (buckets.empty()) return optimizer(s);
    const Seconds work = at(c).forward;
    return std::max(before + buckets.front(),
                    before + sum(buckets) + work / static_cast<double>(buckets.size()) - work);
  }
  Seconds ready_alone(int s) { return gathered(s, 0); }

  void forward_heads() {
    const int group = std::min(m_, p_);
    for (int c = 0; c < count(); ++c) {
      Chunk& chunk = at(c);
      const int s = chunk.stage;
      const bool second = kind_ == ScheduleKind::ZbV && c >= p_;
      const int local = kind_ == ScheduleKind::ZbV ? (second ? 1 : 0) : c / p_;
      chunk.forward_head = gathered(s, local);
      if (c > 0) {
        const Chunk& before = at(c - 1);
        chunk.forward_head =
            std::max(chunk.forward_head, before.forward_head + before.forward + chunk.from_before);
      }
      if (local > 0) {
        const Chunk& mine = at(chunk_of(s, local - 1));
        const int first = second ? v_warm_up(s) : group;
        chunk.forward_head = std::max(chunk.forward_head, mine.forward_head + first * mine.forward);
      }
    }
  }

  /// Of the first B or Backward, where the list before it is known in closed form.
  void backward_heads() {
    if (!runs_ahead() && !full_v()) return;
    for (int c = count() - 1; c >= 0; --c) {
      Chunk& chunk = at(c);
      const int s = chunk.stage;
      if (runs_ahead()) {
        chunk.backward_head =
            chunk.forward_head + std::min(m_, rule(s).forwards_first) * chunk.forward;
      } else if (c >= p_) {
        chunk.backward_head =
            chunk.forward_head + (s + 1) * chunk.forward + s * at(chunk_of(s, 0)).forward;
      }
      if (c + 1 < count()) {
        const Chunk& after = at(c + 1);
        chunk.backward_head =
            std::max(chunk.backward_head, after.backward_head + after.gradient + chunk.from_after);
      }
    }
  }

  /// max_X (head(X) - before(X)).
  Seconds entry(int s) {
    const Chunk& first = at(chunk_of(s, 0));
    Seconds out = first.forward_head;
    if (runs_ahead()) {
      const int ahead = std::min(m_, rule(s).forwards_first);
      out = std::max(out, first.backward_head - ahead * first.forward);
    }
    if (kind_ == ScheduleKind::Interleaved) {
      Seconds before{0};
      for (int l = 0; l + 1 < v_; ++l) before += std::min(m_, p_) * at(chunk_of(s, l)).forward;
      out = std::max(out, at(chunk_of(s, v_ - 1)).forward_head - before);
    }
    if (kind_ == ScheduleKind::ZbV) {
      const Chunk& second = at(chunk_of(s, 1));
      out = std::max(out, second.forward_head - v_warm_up(s) * first.forward);
      if (full_v()) {
        const int ahead = 2 * p_ - s - 1;
        out =
            std::max(out, second.backward_head - ahead * first.forward - (s + 1) * second.forward);
        const int more = m_ > ahead ? 1 : 0;
        out = std::max(out, first.backward_head - (ahead + more) * first.forward -
                                p_ * second.forward - (p_ - s) * (second.gradient + second.weight));
      }
    }
    return out;
  }

  // --- work -------------------------------------------------------------------------------------

  Seconds work(int s) {
    Seconds out{0};
    for (int l = 0; l < v_; ++l) out += m_ * at(chunk_of(s, l)).work();
    return out;
  }

  /// What the data-parallel stream of a rank does between two barriers, and the optimizer before.
  Seconds collectives(int s) {
    Seconds out = optimizer(s);
    for (int l = 0; l < v_; ++l) {
      out += sum(cost(chunk_of(s, l)).parameter_gather) + sum(cost(chunk_of(s, l)).gradient_reduce);
    }
    return out;
  }

  // --- tail -------------------------------------------------------------------------------------

  /// From the end of the last weight gradient of chunk `c`, whose n buckets become ready evenly
  /// over it, to the end of the reduction of them and of those of `later` chunks of the stage.
  Seconds overlapped_reduction(int c, int later) {
    const auto& buckets = cost(c).gradient_reduce;
    const Seconds producer = split_ ? at(c).weight : at(c).gradient;
    Seconds rest{0};
    Seconds most{0};
    const auto n = buckets.size();
    for (std::size_t b = n; b-- > 0;) {
      rest += buckets[b];
      const double early = 1 - static_cast<double>(b + 1) / static_cast<double>(n);
      most = std::max(most, rest - early * producer);
    }
    for (int l = 0; l < later; ++l) most += sum(cost(chunk_of(at(c).stage, l)).gradient_reduce);
    return most;
  }

  /// From the end of the rank's last weight gradient, which is one of its first chunk.
  Seconds reduction_tail(int s) {
    if (costs_.overlap_gradient_reduce) return overlapped_reduction(chunk_of(s, 0), 0);
    Seconds out{0};
    for (int l = 0; l < v_; ++l) out += sum(cost(chunk_of(s, l)).gradient_reduce);
    return out;
  }

  /// W that the list holds after the last B of stage s.
  [[nodiscard]] int weights_after(int s) const {
    const DelayedWeightGrad r = rule(s);
    return std::min(m_ - std::min(m_, r.forwards_first), r.weight_grads_held) + 1;
  }

  /// Work of stage s after the last B or Backward of chunk c.
  Seconds after(int c) {
    const int s = at(c).stage;
    Seconds out{0};
    if (kind_ == ScheduleKind::Interleaved) {
      for (int l = 0; l < c / p_; ++l) {
        const Chunk& earlier = at(chunk_of(s, l));
        out += std::min(m_, p_) * earlier.gradient;
      }
    } else if (runs_ahead()) {
      if (split_) out += weights_after(s) * at(c).weight;
    } else if (full_v()) {
      const Chunk& first = at(chunk_of(s, 0));
      const Chunk& second = at(chunk_of(s, 1));
      if (c < p_) {
        out += (s + 1) * first.weight + s * second.weight;
      } else {
        out += (p_ - s) * first.gradient + p_ * first.weight + std::max(1, s) * second.weight;
      }
    }
    return out;
  }

  void tails() {
    for (int c = 0; c < count(); ++c) {
      Chunk& chunk = at(c);
      const int s = chunk.stage;
      chunk.tail = after(c) + reduction_tail(s);
      if (kind_ == ScheduleKind::Interleaved && costs_.overlap_gradient_reduce) {
        chunk.tail = std::max(chunk.tail, overlapped_reduction(c, c / p_));
      }
      if (c > 0) {
        const Chunk& before = at(c - 1);
        chunk.tail = std::max(chunk.tail, before.from_after + before.gradient + before.tail);
      }
      if (kind_ == ScheduleKind::Interleaved && c >= p_) {
        const Chunk& earlier = at(c - p_);
        chunk.tail = std::max(chunk.tail, std::min(m_, p_) * earlier.gradient + earlier.tail);
      }
    }
  }

  /// max_Y (tail(Y) - after(Y)).
  Seconds exit(int s) {
    Seconds out = reduction_tail(s);
    if (kind_ == ScheduleKind::ZbV && !full_v()) return out;
    for (int l = 0; l < v_; ++l) {
      const int c = chunk_of(s, l);
      out = std::max(out, at(c).tail - after(c));
    }
    return out;
  }

  // --- further chains ---------------------------------------------------------------------------

  Seconds once_through() {
    const Chunk& last = at(count() - 1);
    Seconds out = last.forward_head + last.forward;
    for (int c = 0; c < count(); ++c) out += at(c).from_after + at(c).gradient;
    return out + at(0).weight + reduction_tail(0);
  }

  /// From the first forward of stage i until its gradient is back, per micro-batch.
  Seconds round_trips() {
    if (!runs_ahead()) return Seconds{0};
    std::vector<Seconds> round(static_cast<std::size_t>(p_));
    Seconds length{0};
    for (int s = p_ - 1; s >= 0; --s) {
      const Chunk& chunk = at(s);
      length += chunk.forward + chunk.gradient;
      if (s + 1 < p_) length += at(s + 1).from_before + chunk.from_after;
      round[static_cast<std::size_t>(s)] = length;
    }
    const auto in_flight = [&](int s) { return rule(s).forwards_first; };
    Seconds most{0};
    for (int s = 0; s < p_; ++s) {
      int left = m_ - 1;
      const int turns = left / in_flight(s);
      left -= turns * in_flight(s);
      Seconds out = turns * round[static_cast<std::size_t>(s)];
      // What is left fits a stage nearer to the end: its q is the largest that is no more.
      const int step = kind_ == ScheduleKind::ZbH2 ? 2 : 1;
      if (left > 0) {
        const int near = p_ - 1 - (left - 1) / step;
        left -= in_flight(near);
        out += round[static_cast<std::size_t>(near)];
      }
      out += left * at(0).gradient;
      most = std::max(most, out);
    }
    return at(0).forward_head + round[0] + most + at(0).tail;
  }

  Seconds all_forwards_first() {
    Seconds end{0};  // of all forwards on the stage
    for (int s = 0; s < p_; ++s) {
      const Chunk& chunk = at(s);
      const Seconds alone = chunk.forward_head + m_ * chunk.forward;
      end = s == 0 ? alone : std::max(alone, end + chunk.from_before + chunk.forward);
    }
    Seconds start = end;  // of the first backward on the stage
    Seconds most{0};
    for (int s = p_ - 1; s >= 0; --s) {
      const Chunk& chunk = at(s);
      if (s + 1 < p_) start += at(s + 1).gradient + chunk.from_after;
      most = std::max(most, start + m_ * chunk.gradient + chunk.tail);
    }
    return most;
  }

  ScheduleKind kind_;
  const ScheduleCosts& costs_;
  int p_, v_, m_;
  bool split_;
  std::vector<Chunk> chunks_;
};

}  // namespace

Seconds step_lower_bound(ScheduleKind kind, const ScheduleCosts& costs, int stages,
                         int chunks_per_stage, int microbatches, bool global_sync) {
  Bound bound(kind, costs, stages, chunks_per_stage, microbatches);
  return global_sync ? bound.with_barrier() : bound.without_barrier();
}

}  // namespace meshplan::planner
