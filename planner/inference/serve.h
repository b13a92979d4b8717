#pragma once
#include <cstdint>
#include <functional>

#include "planner/inference/samples.h"
#include "planner/inference/step.h"
#include "profiles/engine.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// Requests that one replica serves. Users send one request at a time, all of them the first at
/// once, and the next as soon as an answer is whole. Over the front end a request takes from
/// nothing to twice the engine's mean: that keeps equal requests from marching in step.
struct Load {
  int prompt = 1, output = 1;  ///< tokens, on average
  int users = 1;               ///< requests under way; those the engine cannot take in wait
  int requests = 1;            ///< in all, at least one a user
  double spread = 0;           ///< lengths lie evenly within this part of the average around it
  bool online = false;         ///< users send and read over the engine's front end
  bool prompts_first = false;  ///< a static batch: nothing is decoded until all prompts are read
};

/// How many requests an offline measurement of `tokens` tokens each runs: enough for requests to
/// come and go. Source: the table of TensorRT-LLM's performance overview, "Preparing a Dataset".
int offline_requests(std::int64_t tokens);

/// What users see, and what the engine did. Means over all requests.
struct Service {
  profiles::Seconds ttft{0};  ///< from sending a request to its first token, waiting included
  profiles::Seconds tpot{0};  ///< between two tokens of one answer; none of answers of one token
  Percentiles ttft_percentiles, tpot_percentiles;
  profiles::Seconds duration{0};
  double tokens_per_second = 0;  ///< of output
  double decoding = 0;           ///< requests that decode at a time, over the steps
  std::int64_t preempted = 0;    ///< times that a request lost its cache and began anew
  bool served = true;            ///< false: one request alone does not fit the cache
};

struct ServingSchedule;

/// How long one step takes.
using StepCost = std::function<profiles::Seconds(const Step&)>;

/// Serves `load` on one replica with a cache of `room` tokens, step by step, as the engine
/// schedules: continuous batching, prompts in chunks beside decoding or before it, first come first
/// served, a limit of requests and of tokens a step, admission against the cache and preemption of
/// the youngest. Steps in which nothing comes or goes are taken together, but not where `made` is
/// given: it is told every step, request by request (serving_schedule.h). Deterministic.
Service serve(const StepCost& cost, const profiles::Engine& engine, const Load& load,
              std::int64_t room, ServingSchedule* made = nullptr);

}  // namespace meshplan::planner
