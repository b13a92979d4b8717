#include "planner/predict.h"

#include <algorithm>
#include <cmath>

#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/model/flops.h"
#include "planner/schedule/build_schedule.h"
#include "planner/simulate/simulate.h"
#include "planner/uncertainty.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

std::vector<ChunkFacts> chunk_facts(const Problem& problem, const Layout& layout,
                                    const std::vector<int>& split, const ScheduleCosts& costs,
                                    const ActivationBytes& activations) {
  std::vector<ChunkFacts> out(split.size());
  int first = 0;
  for (std::size_t c = 0; c < split.size(); ++c) {
    ChunkFacts& chunk = out[c];
    const int sparse = sparse_layers(problem.model, first, split[c]);
    chunk.stage = owner_of_chunk(layout, static_cast<int>(c));
    chunk.first_layer = first;
    chunk.layers = split[c];
    chunk.boundary = activations.boundary;
    chunk.activations = std::int64_t{split[c] - sparse} * activations.dense_layer +
                        std::int64_t{sparse} * activations.sparse_layer;
    chunk.until_weight_grad = std::int64_t{split[c] - sparse} * activations.dense_until_w +
                              std::int64_t{sparse} * activations.sparse_until_w;
    Bytes ends{};
    if (c == 0) ends += activations.embedding;
    if (c + 1 == split.size()) ends += activations.head_input;
    chunk.activations += ends;
    chunk.until_weight_grad += ends;
    chunk.working = activations.rebuilt + activations.transient;
    chunk.gradient_buckets = static_cast<int>(costs.chunks[c].gradient_reduce.size());
    chunk.gather_buckets = static_cast<int>(costs.chunks[c].parameter_gather.size());
    first += split[c];
  }
  return out;
}

std::vector<StageLayers> stage_layers(const Layout& layout, const std::vector<int>& split) {
  std::vector<StageLayers> out(static_cast<std::size_t>(layout.pp));
  int first = 0;
  for (std::size_t c = 0; c < split.size(); ++c) {
    const auto stage = static_cast<std::size_t>(owner_of_chunk(layout, static_cast<int>(c)));
    out[stage].chunks.push_back({first, split[c], c == 0, c + 1 == split.size()});
    first += split[c];
  }
  return out;
}

/// Model FLOPs of one step, by the full-attention convention that published MFU figures use.
double step_flops(const Problem& problem) {
  return model_flops_per_sequence(problem.model, problem.workload.seq_len,
                                  AttentionConvention::Full)
             .count *
         problem.workload.global_batch;
}

/// FLOPs that one step executes, attention counted alike.
double executed_flops(const Problem& problem, const Layout& layout) {
  const double sequence = problem.workload.seq_len;
  return executed_flops_per_token(problem.model, sequence, AttentionConvention::Full,
                                  layout.recompute, problem.uses_flash_attention())
             .count *
         sequence * problem.workload.global_batch;
}

/// Whether most of the bubble is another stage's work: that stage has less than half of it.
bool waits_for_fuller_stage(const Prediction& p) {
  if (p.busy.empty()) return false;
  const Seconds fullest = *std::max_element(p.busy.begin(), p.busy.end());
  return 2 * (p.step - fullest) < p.terms.bubble;
}

/// The largest term besides compute, in words.
std::string limited_by(const Prediction& prediction, bool fits) {
  if (!fits) return "memory";
  const Terms& t = prediction.terms;
  const char* bubble = waits_for_fuller_stage(prediction) ? "uneven stages" : "pipeline bubble";
  const std::pair<Seconds, const char*> terms[] = {{t.bubble, bubble},
                                                   {t.tp, "tensor-parallel communication"},
                                                   {t.dp, "data-parallel communication"},
                                                   {t.pp, "pipeline transfers"},
                                                   {t.cp, "context-parallel communication"},
                                                   {t.ep, "expert all-to-all"},
                                                   {t.optimizer, "optimizer step"},
                                                   {t.overhead, "launch overhead"}};
  const auto largest = std::max_element(std::begin(terms), std::end(terms),
                                        [](auto& a, auto& b) { return a.first < b.first; });
  constexpr double kWorthNaming = 0.02;
  if (largest->first < kWorthNaming * prediction.step) return "compute";
  return largest->second;
}

}  // namespace

PreparedLayout prepare(PriceBook& book, const Layout& layout) {
  const Problem& problem = book.problem();
  PreparedLayout out;
  out.split = stage_split(layout, problem.model);
  out.costs = book.costs(layout, out.split, placement(layout, problem.cluster));
  ScheduleOptions options;
  options.global_sync = problem.global_sync;
  options.recompute = layout.recompute != Recompute::None;
  options.overlap_gradient_reduce = out.costs.overlap_gradient_reduce;
  options.chunks = chunk_facts(problem, layout, out.split, out.costs, book.activations(layout));
  out.schedule = build_schedule(layout.schedule, layout.pp, layout.chunks_per_stage(),
                                microbatches(layout, problem.workload), options);
  const RankParameters& parameters = book.parameters(layout);
  const ActivationBytes& activations = book.activations(layout);
  std::vector<StageLoad> loads;
  stage_loads(problem.model, layout, problem.workload, out.split, parameters, activations, loads);
  stage_memory(problem, layout, loads, parameters, activations, out.memory);
  return out;
}

Plan assemble_plan(PriceBook& book, const Layout& layout, const PreparedLayout& prepared,
                   const SimulatedStep& simulated) {
  const Problem& problem = book.problem();
  Plan plan;
  plan.layout = layout;
  plan.stages = stage_layers(layout, prepared.split);
  Prediction& p = plan.prediction;
  p.step = simulated.step;
  p.terms = simulated.terms;
  p.terms_stage = simulated.rank;
  p.busy = simulated.busy;
  p.bubble_fraction = simulated.terms.bubble / simulated.step;
  const double seconds = p.step.count();
  p.tokens_per_second =
      static_cast<double>(problem.workload.seq_len) * problem.workload.global_batch / seconds;
  const double peak =
      problem.cluster.device.peak_at(problem.workload.data_type).rate * layout.devices() * seconds;
  const double model = step_flops(problem);
  p.mfu = model / peak;
  p.hfu = executed_flops(problem, layout) / peak;
  p.memory = prepared.memory;
  p.capacity = problem.cluster.device.memory;
  plan.fits = peak_bytes(prepared.memory) <= problem.memory_limit();
  plan.limited_by = limited_by(p, plan.fits);
  const Interval interval = step_interval(problem, layout, p);
  p.step_low = interval.low;
  p.step_high = interval.high;
  return plan;
}

Plan predict(PriceBook& book, const Layout& layout) {
  const PreparedLayout prepared = prepare(book, layout);
  return assemble_plan(book, layout, prepared, simulate_step(prepared.schedule, prepared.costs));
}

}  // namespace meshplan::planner
