#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "planner/inference/predict_inference.h"
#include "planner/layout/layout_text.h"

namespace meshplan::planner {

/// What the best answer is best at.
enum class ServingObjective {
  Throughput,  ///< output tokens per second
  Latency,     ///< time of a whole answer
  Memory,      ///< most room for the cache on each device
  Cost,        ///< output tokens per second and device, unused devices cost nothing
};

/// What a latency must not exceed.
struct ServingLimit {
  enum class Of { Mean, P50, P99 };
  profiles::Seconds most{0};
  Of of = Of::Mean;
  [[nodiscard]] bool holds(profiles::Seconds mean, const Percentiles& percentiles) const {
    const profiles::Seconds seen = of == Of::Mean  ? mean
                                   : of == Of::P50 ? percentiles.p50
                                                   : percentiles.p99;
    return seen <= most;
  }
};

struct ServingSearch {
  ServingObjective objective = ServingObjective::Throughput;
  std::optional<ServingLimit> max_ttft, max_tpot;
  std::optional<Demand>
      demand;           ///< none: users are searched too, powers of two up to 1024 a replica
  double spread = 0.1;  ///< of the lengths, where users are searched
  LayoutText fixed;     ///< keys that every layout must have
  /// Why the engine cannot run a legal layout: the id of its rule. May be empty.
  std::function<std::optional<std::string>(const Layout&)> refusing_rule;
  int top = 10;
};

/// One layout under one demand.
struct ServingPlan {
  Layout layout;
  Demand demand;
  InferencePrediction prediction;
};

struct ServingPlans {
  std::vector<ServingPlan> plans;     ///< each layout at its best demand, best first
  std::vector<ServingPlan> frontier;  ///< most tokens/s a device for each speed that users see,
                                      ///< fastest first
  std::int64_t candidates = 0;        ///< layouts
  std::int64_t predictions = 0;       ///< layouts times demands
  std::map<std::string, std::int64_t> rejected;  ///< layouts, by reason
  double seconds = 0;
};

/// Every layout of the space tp x pp x dp on all devices (for the cost also on fewer), for models
/// with experts also those spread over tp or over tp x dp, each under every demand: exhaustive, for
/// the space is small.
ServingPlans search_inference(const Problem& problem, const profiles::Engine& engine,
                              const ServingSearch& search);

}  // namespace meshplan::planner
