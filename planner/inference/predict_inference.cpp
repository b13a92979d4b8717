#include "planner/inference/predict_inference.h"

#include <algorithm>
#include <optional>

#include "planner/inference/serving_uncertainty.h"
#include "planner/inference/step_time.h"

namespace meshplan::planner {
namespace {

/// Requests that each user sends one after the other. Source: InferenceMAX's benchmark client
/// (num_prompts = 10 x concurrency).
constexpr int kRequestsPerUser = 10;

}  // namespace

Load load_of(const Workload& workload, const Demand& demand, int replicas) {
  Load out;
  out.prompt = workload.prompt;
  out.output = workload.output;
  const int share = std::max(1, (demand.count + replicas - 1) / replicas);
  switch (demand.kind) {
    case Demand::Kind::Users:
      out.users = share;
      out.requests = kRequestsPerUser * share;
      out.spread = demand.spread;
      out.online = true;
      break;
    case Demand::Kind::Most:
      out.requests = offline_requests(std::int64_t{workload.prompt} + workload.output);
      out.users = out.requests;
      break;
    case Demand::Kind::Batch:
      out.users = out.requests = share;
      out.prompts_first = true;
      break;
  }
  return out;
}

profiles::Engine habits_for(const profiles::Engine& engine, const Load& load) {
  profiles::Engine habits = engine;
  if (load.prompts_first) habits.max_sequences = std::max(habits.max_sequences, load.users);
  return habits;
}

Demand demand_of(const Workload& workload) {
  if (workload.batch) return {Demand::Kind::Batch, *workload.batch};
  if (workload.concurrency) return {Demand::Kind::Users, *workload.concurrency};
  return {};
}

InferencePrediction predict_inference(StepPrices& prices, const Problem& problem,
                                      const profiles::Engine& engine, const Layout& layout,
                                      const Demand& demand) {
  InferencePrediction out;
  out.memory = serving_memory(problem, engine, layout);
  out.room = cache_room(out.memory, problem, engine, layout);
  const Load load = load_of(problem.workload, demand, layout.dp);
  std::optional<Step> first;
  const StepCost cost = [&](const Step& step) {
    if (!first) first = step;
    return prices.time(step).sum();
  };
  out.service = serve(cost, habits_for(engine, load), load, out.room.tokens);
  if (demand.kind == Demand::Kind::Batch && first) {
    // One batch finds the stages idle; of many requests the first few do.
    const profiles::Seconds fill = prices.time(*first).fill;
    out.service.tokens_per_second *= out.service.duration / (out.service.duration + fill);
    for (profiles::Seconds* ttft : {&out.service.ttft, &out.service.ttft_percentiles.p50,
                                    &out.service.ttft_percentiles.p99}) {
      *ttft += fill;
    }
    out.service.duration += fill;
  }
  out.fits = out.service.served;
  out.tokens_per_second = layout.dp * out.service.tokens_per_second;
  out.tokens_per_second_per_device = out.tokens_per_second / layout.devices();
  if (out.service.tpot.count() > 0) {
    out.tokens_per_second_per_user = 1 / out.service.tpot.count();
  }
  const double prompt = problem.workload.prompt;
  out.decode_step = prices.time({.decoding = std::max(1.0, out.service.decoding),
                                 .cached = prompt + problem.workload.output / 2.0});
  out.prompt_step = prices.time(
      {.prompt_tokens = prompt, .prompt_pairs = prompt * (prompt + 1) / 2, .prompts = 1});
  if (out.fits) out.intervals = serving_intervals(problem, engine, out);
  return out;
}

ServingSchedule serving_schedule(const Problem& problem, const profiles::Engine& engine,
                                 const Layout& layout, const Demand& demand) {
  const CacheRoom room =
      cache_room(serving_memory(problem, engine, layout), problem, engine, layout);
  const Load load = load_of(problem.workload, demand, layout.dp);
  return serving_schedule(habits_for(engine, load), load, room.tokens);
}

}  // namespace meshplan::planner
