#include "planner/schedule/deadlock.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "planner/schedule/dependencies.h"

namespace meshplan::planner {
namespace {

/// Where a stage stands: all before `begin` is done, [begin, end) is posted.
struct Front {
  std::size_t begin = 0, end = 0;
  std::vector<bool> met;  ///< by position - begin: transfers of the group that have happened
  std::size_t open = 0;   ///< how many have not
};

/// The transfer on stage `i.peer` that meets transfer `i` of stage `stage`.
Instruction counterpart(const Instruction& i, int stage) {
  Instruction other = i;
  other.peer = static_cast<std::int16_t>(stage);
  switch (i.action) {
    case Action::SendForward:
      other.action = Action::ReceiveForward;
      ++other.chunk;
      break;
    case Action::ReceiveForward:
      other.action = Action::SendForward;
      --other.chunk;
      break;
    case Action::SendBackward:
      other.action = Action::ReceiveBackward;
      --other.chunk;
      break;
    default:
      other.action = Action::SendBackward;
      ++other.chunk;
      break;
  }
  return other;
}

class Stepper {
 public:
  explicit Stepper(const Schedule& schedule)
      : schedule_(schedule),
        fronts_(schedule.programs.size()),
        happened_(static_cast<std::size_t>(schedule.chunk_count()) *
                      static_cast<std::size_t>(schedule.microbatches),
                  0),
        weight_grads_left_(static_cast<std::size_t>(schedule.chunk_count()),
                           schedule.microbatches) {}

  std::optional<Deadlock> run() {
    for (int s = schedule_.stages; s-- > 0;) awake_.push_back(s);
    while (!awake_.empty()) {
      const int s = awake_.back();
      awake_.pop_back();
      while (advance(s)) {
      }
    }
    std::vector<Wait> waits;
    for (int s = 0; s < schedule_.stages; ++s) {
      if (front(s).begin < program(s).size()) waits.push_back(wait_of(s));
    }
    if (waits.empty()) return std::nullopt;
    return deadlock_among(waits);
  }

 private:
  const std::vector<Instruction>& program(int s) const {
    return schedule_.programs[static_cast<std::size_t>(s)];
  }
  Front& front(int s) { return fronts_[static_cast<std::size_t>(s)]; }
  std::uint16_t& happened(int chunk, int microbatch) {
    return happened_[static_cast<std::size_t>(chunk) *
                         static_cast<std::size_t>(schedule_.microbatches) +
                     static_cast<std::size_t>(microbatch)];
  }
  static std::uint16_t bit(Action action) {
    // A whole Backward is also the InputGrad that others need.
    const Action as = action == Action::Backward ? Action::InputGrad : action;
    return static_cast<std::uint16_t>(1u << static_cast<unsigned>(as));
  }

  /// One move of stage `s`; false when it is stuck or has finished.
  bool advance(int s) {
    Front& f = front(s);
    if (f.begin == program(s).size()) return false;
    if (f.begin == f.end) post_next(s);
    const Instruction& i = program(s)[f.begin];
    if (is_transfer(i.action)) {
      for (std::size_t k = f.begin; k < f.end; ++k) meet(s, k);
      if (f.open > 0) return false;
    } else {
      if (!may_run(s, i)) return false;
      if (is_compute(i.action)) {
        happened(i.chunk, i.microbatch) |= bit(i.action);
        if (gives_weight_grad(i.action)) --weight_grads_left_[static_cast<std::size_t>(i.chunk)];
      }
    }
    f.begin = f.end;
    return true;
  }

  void post_next(int s) {
    Front& f = front(s);
    const auto& list = program(s);
    f.end = f.begin + 1;
    if (list[f.begin].group >= 0) {
      while (f.end < list.size() && list[f.end].group == list[f.begin].group) ++f.end;
    }
    f.open = f.end - f.begin;
    f.met.assign(f.open, false);
    if (list[f.begin].action == Action::OptimizerSync && ++at_sync_ == schedule_.stages) {
      for (int other = 0; other < schedule_.stages; ++other) awake_.push_back(other);
    }
  }

  bool may_run(int s, const Instruction& i) {
    if (i.action == Action::OptimizerSync) return at_sync_ == schedule_.stages;
    if (i.action == Action::GradientReduce) {
      return weight_grads_left_[static_cast<std::size_t>(i.chunk)] == 0;
    }
    return !unmet_need(s, i);
  }

  /// What `i` needs of its own stage and has not got.
  std::optional<Need> unmet_need(int s, const Instruction& i) {
    for (const Need& need : needs(schedule_, s, i)) {
      if (need.stage == s && (happened(need.chunk, need.microbatch) & bit(need.action)) == 0) {
        return need;
      }
    }
    return std::nullopt;
  }

  /// Index in the posted group of `s` of the first open transfer of `action` with `peer`: transfers
  /// between two stages in one direction happen in order.
  std::optional<std::size_t> first_open(int s, Action action, int peer) {
    const Front& f = front(s);
    for (std::size_t k = f.begin; k < f.end; ++k) {
      const Instruction& i = program(s)[k];
      if (!f.met[k - f.begin] && i.action == action && i.peer == peer) return k;
    }
    return std::nullopt;
  }

  /// Lets posted transfer `k` of stage `s` happen if its counterpart is posted too.
  void meet(int s, std::size_t k) {
    Front& mine = front(s);
    const Instruction& i = program(s)[k];
    if (mine.met[k - mine.begin] || first_open(s, i.action, i.peer) != k) return;
    const Instruction wanted = counterpart(i, s);
    const auto other = first_open(i.peer, wanted.action, s);
    if (!other) return;
    const Instruction& found = program(i.peer)[*other];
    if (found.chunk != wanted.chunk || found.microbatch != wanted.microbatch) return;
    if (is_send(i.action) ? unmet_need(s, i) : unmet_need(i.peer, found)) return;
    Front& theirs = front(i.peer);
    mine.met[k - mine.begin] = true;
    theirs.met[*other - theirs.begin] = true;
    --mine.open;
    --theirs.open;
    const Instruction& receive = is_send(i.action) ? found : i;
    happened(receive.chunk, receive.microbatch) |= bit(receive.action);
    awake_.push_back(i.peer);
  }

  Wait wait_of(int s) {
    const Front& f = front(s);
    std::size_t k = f.begin;
    while (k + 1 < f.end && f.met[k - f.begin]) ++k;
    const Instruction& i = program(s)[k];
    int on = s;
    if (is_transfer(i.action)) on = i.peer;
    if (i.action == Action::OptimizerSync) on = straggler();
    return {s, static_cast<int>(k), i, on};
  }

  /// A stage that keeps the others waiting at OptimizerSync.
  int straggler() {
    for (int s = 0; s < schedule_.stages; ++s) {
      const Front& f = front(s);
      if (f.begin == program(s).size() || program(s)[f.begin].action != Action::OptimizerSync) {
        return s;
      }
    }
    return 0;
  }

  const Schedule& schedule_;
  std::vector<Front> fronts_;
  std::vector<std::uint16_t> happened_;  ///< bits by action, for each (chunk, micro-batch)
  std::vector<int> weight_grads_left_;   ///< by chunk
  std::vector<int> awake_;
  int at_sync_ = 0;
};

}  // namespace

std::optional<Deadlock> find_deadlock(const Schedule& schedule) { return Stepper(schedule).run(); }

std::string described(const Instruction& i) {
  std::string words(name(i.action));
  std::replace(words.begin(), words.end(), '_', ' ');
  if (i.chunk >= 0) words += fmt::format(" of chunk {}", i.chunk);
  if (i.microbatch >= 0) words += fmt::format(" micro-batch {}", i.microbatch);
  return words;
}

Deadlock deadlock_among(const std::vector<Wait>& waits) {
  const auto of_stage = [&](int stage) {
    return std::find_if(waits.begin(), waits.end(),
                        [&](const Wait& w) { return w.stage == stage; });
  };
  Deadlock out;
  auto at = waits.begin();
  const auto seen = [&](int stage) {
    return std::find_if(out.waits.begin(), out.waits.end(),
                        [&](const Wait& w) { return w.stage == stage; });
  };
  while (at != waits.end() && seen(at->stage) == out.waits.end()) {
    out.waits.push_back(*at);
    at = of_stage(at->on_stage);
  }
  // Keep the cycle only; a chain that ends at a finished stage is kept whole.
  if (at != waits.end()) out.waits.erase(out.waits.begin(), seen(at->stage));
  out.message = "the schedule cannot complete: ";
  for (const Wait& w : out.waits) {
    if (&w != &out.waits.front()) out.message += "; ";
    out.message += fmt::format("stage {} waits with {} (instruction {}) for ", w.stage,
                               described(w.instruction), w.position);
    out.message += w.on_stage == w.stage ? std::string("what comes later in its own list or never")
                                         : fmt::format("stage {}", w.on_stage);
  }
  return out;
}

}  // namespace meshplan::planner
