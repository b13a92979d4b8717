#pragma once
#include "planner/inference/cache_room.h"
#include "planner/inference/serve.h"
#include "planner/inference/serving_schedule.h"
#include "planner/inference/step.h"
#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/engine.h"

namespace meshplan::planner {

class StepPrices;

/// How many requests are under way on the whole cluster.
struct Demand {
  enum class Kind {
    Users,  ///< a fixed number, each with one request at a time
    Most,   ///< all requests at once: what an offline run measures
    Batch,  ///< one static batch, read whole and then decoded
  };
  Kind kind = Kind::Most;
  int count = 1;      ///< users, or sequences of the batch
  double spread = 0;  ///< of the lengths around those of the workload (Load)
};
/// As the workload says: batch, concurrency, else the most.
Demand demand_of(const Workload& workload);

/// The part of the demand that one of `replicas` serves. Requests a user: 10 (InferenceMAX's
/// habit).
Load load_of(const Workload& workload, const Demand& demand, int replicas);
/// The engine as it serves `load`: a static batch is as large as it was asked for.
profiles::Engine habits_for(const profiles::Engine& engine, const Load& load);

/// Where a value lies with 80 %.
struct Range {
  double low = 0, high = 0;
  [[nodiscard]] bool holds(double value) const { return low <= value && value <= high; }
};
struct ServingIntervals {
  Range ttft_seconds, tpot_seconds, tokens_per_second;
};

/// What a layout serves.
struct InferencePrediction {
  std::vector<ServingMemory> memory;  ///< by stage
  CacheRoom room;
  bool fits = true;                       ///< weights fit and one request's cache does
  Service service;                        ///< of one replica; all are alike
  double tokens_per_second = 0;           ///< of output, all replicas
  double tokens_per_second_per_user = 0;  ///< 1 / TPOT
  double tokens_per_second_per_device = 0;
  StepTime decode_step;        ///< a step of decoding at the mean batch and half the output
  StepTime prompt_step;        ///< one prompt alone
  ServingIntervals intervals;  ///< serving_uncertainty.h
};

/// Predicts one legal layout.
InferencePrediction predict_inference(StepPrices& prices, const Problem& problem,
                                      const profiles::Engine& engine, const Layout& layout,
                                      const Demand& demand);

/// The very steps that the prediction prices, of one replica, request by request.
ServingSchedule serving_schedule(const Problem& problem, const profiles::Engine& engine,
                                 const Layout& layout, const Demand& demand);

}  // namespace meshplan::planner
