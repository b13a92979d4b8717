#include "planner/schedule/lower.h"

#include <fmt/format.h>

#include <array>

#include "planner/schedule/deadlock.h"
#include "planner/schedule/dependencies.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;

/// Ticks that an instruction takes on the clock that orders the transfers.
constexpr int ticks(Action action) { return action == Action::Backward ? 2 : 1; }

/// What has happened to one micro-batch on one chunk; bits of a byte.
enum Mark : std::uint8_t {
  kInputHere = 1,
  kForwardDone = 2,
  kGradientHere = 4,
  kInputGradDone = 8,
  kWeightGradDone = 16,
};

class Lowering {
 public:
  Lowering(ScheduleKind kind, const PipelineShape& shape, std::vector<ComputeOrder> orders,
           const ScheduleOptions& options, const std::string& where)
      : shape_(shape), options_(options), where_(where), orders_(std::move(orders)) {
    out_.kind = kind;
    out_.stages = shape.stages;
    out_.chunks_per_stage = shape.chunks_per_stage;
    out_.microbatches = shape.microbatches;
    out_.global_sync = options.global_sync;
    out_.forward_only = options.forward_only;
    own_chunks();
    const auto chunks = static_cast<std::size_t>(out_.chunk_count());
    const auto m = static_cast<std::size_t>(shape.microbatches);
    marks_.assign(chunks * m, 0);
    for (std::size_t k = 0; k < m; ++k) marks_[k] = kInputHere;
    weight_grads_left_.assign(chunks, shape.microbatches);
    stages_.resize(static_cast<std::size_t>(shape.stages));
    out_.programs.resize(stages_.size());
    for (int s = 0; s < shape.stages; ++s) program(s).reserve(length(s));
  }

  Schedule run() {
    if (!options_.forward_only) gather_parameters();
    for (int s = 0; s < shape_.stages; ++s) awake_.push_back(s);
    start_ready();
    while (busy_ > 0) {
      tick_ = (tick_ + 1) % kHorizon;
      awake_.clear();
      // Everything that ends now is posted before anything starts.
      for (const int s : ends_[tick_]) end_current(s);
      ends_[tick_].clear();
      start_ready();
    }
    refuse_unfinished();
    if (!options_.forward_only) finish_step();
    return std::move(out_);
  }

 private:
  static constexpr int kHorizon = 4;  ///< more than the longest instruction's ticks

  struct Stage {
    std::size_t next = 0;  ///< in its compute order
    bool busy = false;
    bool recomputed = false;  ///< the Recompute before orders[next] has been issued
    Instruction current;
    std::int32_t groups = 0;
  };

  std::vector<Instruction>& program(int stage) {
    return out_.programs[static_cast<std::size_t>(stage)];
  }
  Stage& at(int stage) { return stages_[static_cast<std::size_t>(stage)]; }
  const ComputeOrder& order(int stage) const { return orders_[static_cast<std::size_t>(stage)]; }
  ChunkFacts& facts(int chunk) { return out_.chunks[static_cast<std::size_t>(chunk)]; }
  std::uint8_t& mark(int chunk, int microbatch) {
    return marks_[static_cast<std::size_t>(chunk) * static_cast<std::size_t>(shape_.microbatches) +
                  static_cast<std::size_t>(microbatch)];
  }
  [[nodiscard]] int last_chunk() const { return out_.chunk_count() - 1; }

  void own_chunks() {
    const auto count = static_cast<std::size_t>(out_.chunk_count());
    out_.chunks = options_.chunks;
    if (out_.chunks.empty()) out_.chunks.resize(count);
    if (out_.chunks.size() != count) {
      throw InputError(where_, fmt::format("facts of {} chunks", count),
                       fmt::format("{}", out_.chunks.size()));
    }
    for (int c = 0; c < out_.chunk_count(); ++c) {
      facts(c).stage = chunk_owner(out_.kind, shape_.stages, c);
    }
  }

  /// Final length of a stage's list, so that it is allocated once.
  std::size_t length(int stage) {
    const auto m = static_cast<std::size_t>(shape_.microbatches);
    const std::size_t directions = options_.forward_only ? 1 : 2;
    std::size_t out = order(stage).size();
    if (options_.recompute) {
      out += m * static_cast<std::size_t>(shape_.chunks_per_stage);
    }
    for (int local = 0; local < shape_.chunks_per_stage; ++local) {
      const int c = chunk_on_stage(out_.kind, shape_.stages, stage, local);
      if (c > 0 && facts(c - 1).stage != stage) out += directions * m;
      if (c < last_chunk() && facts(c + 1).stage != stage) out += directions * m;
      if (!options_.forward_only) {
        out += static_cast<std::size_t>(facts(c).gradient_buckets + facts(c).gather_buckets);
      }
    }
    return out + (options_.forward_only ? 0 : 1) + (options_.global_sync ? 1 : 0);
  }

  void gather_parameters() {
    for (int s = 0; s < shape_.stages; ++s) {
      for (int local = 0; local < shape_.chunks_per_stage; ++local) {
        const int c = chunk_on_stage(out_.kind, shape_.stages, s, local);
        buckets(s, Action::ParameterGather, c, facts(c).gather_buckets);
      }
    }
  }

  void buckets(int stage, Action action, int chunk, int count) {
    for (int b = 0; b < count; ++b) {
      program(stage).push_back(
          {.action = action, .peer = static_cast<std::int16_t>(b), .chunk = chunk});
    }
  }

  void start_ready() {
    for (const int s : awake_) {
      Stage& stage = at(s);
      if (stage.busy || stage.next == order(s).size()) continue;
      Instruction next = order(s)[stage.next];
      if (options_.recompute && gives_input_grad(next.action) && !stage.recomputed) {
        next.action = Action::Recompute;
      }
      if (!ready(next)) continue;
      if (next.action == Action::Recompute) {
        stage.recomputed = true;
      } else {
        stage.recomputed = false;
        ++stage.next;
      }
      stage.busy = true;
      stage.current = next;
      program(s).push_back(next);
      ends_[(tick_ + ticks(next.action)) % kHorizon].push_back(s);
      ++busy_;
    }
  }

  bool ready(const Instruction& i) {
    const std::uint8_t m = mark(i.chunk, i.microbatch);
    switch (i.action) {
      case Action::Forward:
        return (m & kInputHere) != 0;
      case Action::Recompute:
      case Action::Backward:
      case Action::InputGrad:
        return (m & kForwardDone) != 0 && (m & kGradientHere) != 0;
      default:
        return (m & kInputGradDone) != 0;
    }
  }

  void end_current(int s) {
    Stage& stage = at(s);
    const Instruction done = stage.current;
    stage.busy = false;
    --busy_;
    awake_.push_back(s);
    std::uint8_t& m = mark(done.chunk, done.microbatch);
    if (done.action == Action::Forward) {
      m |= kForwardDone;
      if (done.chunk == last_chunk()) {
        m |= kGradientHere;  // the loss
      } else {
        hand_over(s, done, done.chunk + 1, kInputHere);
      }
    }
    if (gives_input_grad(done.action)) {
      m |= kInputGradDone;
      if (done.chunk > 0) hand_over(s, done, done.chunk - 1, kGradientHere);
    }
    if (gives_weight_grad(done.action)) {
      m |= kWeightGradDone;
      int& left = weight_grads_left_[static_cast<std::size_t>(done.chunk)];
      if (--left == 0 && options_.overlap_gradient_reduce) {
        buckets(s, Action::GradientReduce, done.chunk, facts(done.chunk).gradient_buckets);
      }
    }
  }

  /// Gives the result of `done` to chunk `to`, over a transfer if another stage owns it.
  void hand_over(int s, const Instruction& done, int to, Mark arrival) {
    mark(to, done.microbatch) |= arrival;
    const int peer = facts(to).stage;
    if (peer == s) return;
    const bool forward = arrival == kInputHere;
    post(s, {.action = forward ? Action::SendForward : Action::SendBackward,
             .peer = static_cast<std::int16_t>(peer),
             .chunk = done.chunk,
             .microbatch = done.microbatch});
    post(peer, {.action = forward ? Action::ReceiveForward : Action::ReceiveBackward,
                .peer = static_cast<std::int16_t>(s),
                .chunk = to,
                .microbatch = done.microbatch});
    if (!at(peer).busy) awake_.push_back(peer);
  }

  void post(int s, Instruction transfer) {
    std::vector<Instruction>& list = program(s);
    if (!list.empty() && is_transfer(list.back().action)) {
      if (list.back().group < 0) list.back().group = at(s).groups++;
      transfer.group = list.back().group;
    }
    list.push_back(transfer);
  }

  void refuse_unfinished() {
    std::vector<Wait> waits;
    for (int s = 0; s < shape_.stages; ++s) {
      const Stage& stage = at(s);
      if (stage.next == order(s).size()) continue;
      const Instruction& i = order(s)[stage.next];
      const std::uint8_t m = mark(i.chunk, i.microbatch);
      int on = s;
      if (i.action == Action::Forward) on = facts(i.chunk - 1).stage;
      if (gives_input_grad(i.action) && (m & kForwardDone) != 0) on = facts(i.chunk + 1).stage;
      waits.push_back({s, static_cast<int>(stage.next), i, on});
    }
    if (!waits.empty()) throw InputError(where_, deadlock_among(waits).message);
  }

  void finish_step() {
    for (int s = 0; s < shape_.stages; ++s) {
      for (int local = shape_.chunks_per_stage; local-- > 0;) {
        if (options_.overlap_gradient_reduce) break;
        const int c = chunk_on_stage(out_.kind, shape_.stages, s, local);
        buckets(s, Action::GradientReduce, c, facts(c).gradient_buckets);
      }
      if (options_.global_sync) {
        program(s).push_back({.action = Action::OptimizerSync, .chunk = -1});
      }
      program(s).push_back({.action = Action::OptimizerStep, .chunk = -1});
    }
  }

  PipelineShape shape_;
  const ScheduleOptions& options_;
  const std::string& where_;
  std::vector<ComputeOrder> orders_;
  Schedule out_;
  std::vector<std::uint8_t> marks_;  ///< by (chunk, micro-batch)
  std::vector<int> weight_grads_left_;
  std::vector<Stage> stages_;
  std::vector<int> awake_;                       ///< stages that may be able to start something
  std::array<std::vector<int>, kHorizon> ends_;  ///< by tick modulo kHorizon
  std::size_t tick_ = 0;
  int busy_ = 0;
};

}  // namespace

Schedule lower(ScheduleKind kind, const PipelineShape& shape, std::vector<ComputeOrder> orders,
               const ScheduleOptions& options, const std::string& where) {
  return Lowering(kind, shape, std::move(orders), options, where).run();
}

}  // namespace meshplan::planner
