#include "planner/schedule/in_flight.h"

#include <algorithm>
#include <vector>

#include "planner/schedule/delayed_weight_grad.h"
#include "planner/schedule/dependencies.h"
#include "planner/schedule/interleaved.h"
#include "planner/schedule/zb_v.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

/// Bytes of one micro-batch on each chunk: all of it, and what stays until W.
class ChunkBytes {
 public:
  ChunkBytes(std::span<const Bytes> activations, std::span<const Bytes> until_weight_grad)
      : all_(activations), late_(until_weight_grad.empty() ? activations : until_weight_grad) {}
  [[nodiscard]] Bytes all(int chunk) const { return all_[static_cast<std::size_t>(chunk)]; }
  [[nodiscard]] Bytes late(int chunk) const { return late_[static_cast<std::size_t>(chunk)]; }

 private:
  std::span<const Bytes> all_, late_;
};

/// Greatest sum over a list of instructions. `change(i)` = bytes taken (or, negative, given back).
template <typename List, typename Change>
auto peak_over(const List& list, Change&& change) {
  using Amount = decltype(change(list.front()));
  Amount now{}, most{};
  for (const Instruction& i : list) {
    now = now + change(i);
    most = std::max(most, now);
  }
  return most;
}

/// What an instruction adds to the bytes that are live.
Bytes taken(const Instruction& i, const ChunkBytes& bytes) {
  switch (i.action) {
    case Action::Forward:
      return bytes.all(i.chunk);
    case Action::Backward:
      return Bytes{} - bytes.all(i.chunk);
    case Action::InputGrad:
      return bytes.late(i.chunk) - bytes.all(i.chunk);
    case Action::WeightGrad:
      return Bytes{} - bytes.late(i.chunk);
    default:
      return Bytes{};
  }
}

/// f forwards come first, then B, [W], F in turn with at most q W waiting: just before the last B
/// that a forward follows f micro-batches wait for B and min(m - f, q) for W, just after it one
/// more waits for W instead of B. Neither number is larger at any other time.
Bytes delayed_peak(const DelayedWeightGrad& rule, int m, Bytes all, Bytes late) {
  const int f = std::min(m, rule.forwards_first);
  const int waiting = std::min(m - f, rule.weight_grads_held);
  return std::max(f * all + waiting * late, (f - 1) * all + (waiting + 1) * late);
}

/// Micro-batches of local chunk `local` among the first `count` of a stage's order in one
/// direction; whole groups of N, `local` counted in the order of that direction.
int passed(int count, int local, int v, int n) {
  return count / (n * v) * n + std::clamp(count % (n * v) - local * n, 0, n);
}

/// Live bytes are a function of j, the backwards done, right after a forward: chunk c has
/// passed(w + 1 + j) forwards less passed(j) backwards. Both have period N v in j and are straight
/// between multiples of N, so the corners of one period suffice.
Bytes interleaved_peak(const PipelineShape& shape, int stage, const ChunkBytes& bytes) {
  const int v = shape.chunks_per_stage;
  const int n = shape.group();
  const int total = shape.microbatches * v;
  const int ahead = interleaved_warm_up(shape, stage) + 1;
  if (shape.microbatches % n != 0) {
    return peak_over(interleaved(shape, stage),
                     [&](const Instruction& i) { return taken(i, bytes); });
  }
  const auto live = [&](int done) {
    const int begun = std::min(total, ahead + done);
    Bytes sum{};
    for (int c = 0; c < v; ++c) {
      sum += (passed(begun, c, v, n) - passed(done, v - 1 - c, v, n)) *
             bytes.all(c * shape.stages + stage);
    }
    return sum;
  };
  const int last = std::min(std::max(0, total - ahead), n * v);
  Bytes most = std::max(live(0), live(last));
  for (int corner = 0; corner <= last; corner += n) most = std::max(most, live(corner));
  for (int corner = (n - ahead % n) % n; corner <= last; corner += n) {
    most = std::max(most, live(corner));
  }
  return most;
}

/// The first chunk of stage r holds 2p - r - 1 micro-batches and the second r + 1 whenever the
/// second has just run forward; the steady state also has the moment with one more on the first and
/// one less on the second, if there is a forward left for it. See zb_v.h.
Bytes zb_v_peak(const PipelineShape& shape, int stage, const ChunkBytes& bytes) {
  const int p = shape.stages;
  if (shape.microbatches < 2 * p - 1) {
    return peak_over(zb_v(shape, stage), [&](const Instruction& i) { return taken(i, bytes); });
  }
  const Bytes first = bytes.all(stage);
  const Bytes second = bytes.all(2 * p - 1 - stage);
  const int ahead = 2 * p - stage - 1;
  Bytes most = ahead * first + (stage + 1) * second;
  if (shape.microbatches > ahead) most = std::max(most, (ahead + 1) * first + stage * second);
  return most;
}

}  // namespace

int in_flight(ScheduleKind kind, const PipelineShape& shape, int stage) {
  const std::vector<Bytes> one(
      static_cast<std::size_t>(shape.stages) * static_cast<std::size_t>(shape.chunks_per_stage),
      Bytes{1});
  return static_cast<int>(peak_activation_bytes(kind, shape, stage, one).count);
}

Bytes peak_activation_bytes(ScheduleKind kind, const PipelineShape& shape, int stage,
                            std::span<const Bytes> activations,
                            std::span<const Bytes> until_weight_grad) {
  const ChunkBytes bytes(activations, until_weight_grad);
  const int m = shape.microbatches;
  const Bytes all = bytes.all(stage);
  switch (kind) {
    case ScheduleKind::GPipe:
      return m * all;
    case ScheduleKind::OneFOneB:
      return std::min(m, shape.stages - stage) * all;
    case ScheduleKind::Interleaved:
      if (shape.chunks_per_stage == 1) return std::min(m, shape.stages - stage) * all;
      return interleaved_peak(shape, stage, bytes);
    case ScheduleKind::ZbH1:
      return delayed_peak(zb_h1_rule(shape.stages, stage), m, all, bytes.late(stage));
    case ScheduleKind::ZbH2:
      return delayed_peak(zb_h2_rule(shape.stages, stage), m, all, bytes.late(stage));
    case ScheduleKind::ZbV:
      return zb_v_peak(shape, stage, bytes);
  }
  return {};
}

Bytes peak_activation_bytes(ScheduleKind kind, int stages, int chunks_per_stage, int microbatches,
                            int stage, std::span<const Bytes> activations,
                            std::span<const Bytes> until_weight_grad) {
  return peak_activation_bytes(kind, {stages, chunks_per_stage, microbatches}, stage, activations,
                               until_weight_grad);
}

Bytes peak_activation_bytes(const Schedule& schedule, int stage) {
  const auto& list = schedule.programs[static_cast<std::size_t>(stage)];
  std::vector<Bytes> all, late;
  for (const ChunkFacts& facts : schedule.chunks) {
    all.push_back(facts.activations);
    late.push_back(facts.until_weight_grad);
  }
  if (schedule.forward_only) {
    Bytes most{};
    for (const Instruction& i : list) most = std::max(most, taken(i, {all, late}));
    return most;
  }
  return peak_over(list, [&](const Instruction& i) { return taken(i, {all, late}); });
}

int counted_in_flight(const Schedule& schedule, int stage) {
  const auto& list = schedule.programs[static_cast<std::size_t>(stage)];
  if (schedule.forward_only) return 1;
  return peak_over(list, [&](const Instruction& i) {
    return i.action == Action::Forward ? 1 : gives_weight_grad(i.action) ? -1 : 0;
  });
}

}  // namespace meshplan::planner
