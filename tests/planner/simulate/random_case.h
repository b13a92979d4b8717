#pragma once
#include <random>

#include "planner/schedule/build_schedule.h"
#include "planner/simulate/costs.h"

namespace meshplan::planner {

/// A schedule with uneven prices of every sort.
struct RandomCase {
  Schedule schedule;
  ScheduleCosts costs;
};

enum class Links { None, OwnOfEachStream, Shared };

/// Any kind of schedule that is legal, 1-6 stages, up to 12 micro-batches. All prices are multiples
/// of 1/2 (chunks and buckets differ), so sums and maxima are exact; shares of links are not.
inline RandomCase random_case(unsigned seed, Links links = Links::None) {
  std::mt19937 random(seed);
  const auto upto = [&](int most) {
    return static_cast<int>(random() % static_cast<unsigned>(most + 1));
  };
  const auto seconds = [&](int most) { return profiles::Seconds{upto(2 * most) / 2.0}; };
  constexpr ScheduleKind kKinds[] = {ScheduleKind::GPipe,       ScheduleKind::OneFOneB,
                                     ScheduleKind::Interleaved, ScheduleKind::ZbH1,
                                     ScheduleKind::ZbH2,        ScheduleKind::ZbV};
  const ScheduleKind kind = kKinds[upto(5)];
  int stages = 1 + upto(5), chunks = 1, microbatches = 1 + upto(11);
  if (kind == ScheduleKind::Interleaved) {
    stages = 2 + upto(3);
    chunks = 2 + upto(1);
    microbatches = stages * (1 + upto(2));
  }
  if (kind == ScheduleKind::ZbV) chunks = 2;

  RandomCase out;
  ScheduleOptions options;
  options.global_sync = upto(2) > 0;
  options.recompute = upto(2) == 0;
  const int reduce_buckets = upto(3), gather_buckets = upto(2);
  out.costs.overlap_gradient_reduce = options.overlap_gradient_reduce = upto(1) == 0;
  out.costs.overlap_parameter_gather = upto(1) == 0;
  options.chunks.resize(stages * chunks);
  for (ChunkFacts& facts : options.chunks) {
    facts.gradient_buckets = reduce_buckets;
    facts.gather_buckets = gather_buckets;
    facts.activations = {100 + upto(50)};
    facts.until_weight_grad = {upto(50)};
    facts.working = {upto(20)};
  }
  out.schedule = build_schedule(kind, stages, chunks, microbatches, options);

  const bool tails = upto(1) == 0;
  for (int c = 0; c < stages * chunks; ++c) {
    ChunkCost cost;
    cost.forward = {.compute = seconds(10) + profiles::Seconds{0.5}, .tp = seconds(2)};
    cost.input_grad = {.compute = seconds(10) + profiles::Seconds{0.5}, .ep = seconds(2)};
    cost.weight_grad = {.compute = seconds(10), .overhead = seconds(1)};
    if (options.recompute) cost.recompute = cost.forward;
    for (int b = 0; b < reduce_buckets; ++b)
      cost.gradient_reduce.push_back(seconds(tails ? 20 : 2));
    for (int b = 0; b < gather_buckets; ++b) cost.parameter_gather.push_back(seconds(8));
    out.costs.chunks.push_back(cost);
  }
  const int own_links = 3 * stages;
  for (int c = 0; c < stages * chunks; ++c) {
    const auto hop = [&](int direction) {
      HopCost cost{seconds(3), seconds(4)};
      const int stage = out.schedule.chunks[c].stage;
      if (links == Links::OwnOfEachStream) cost.link = 3 * stage + direction;
      if (links == Links::Shared) {
        cost.link = stage / 2;
        if (upto(3) == 0) cost.far_link = (stage + 1) / 2;
      }
      return cost;
    };
    out.costs.hops_forward.push_back(hop(0));
    out.costs.hops_backward.push_back(hop(1));
  }
  for (int stage = 0; stage < stages; ++stage) {
    StageCost cost{seconds(5), seconds(2)};
    if (links == Links::OwnOfEachStream) cost.reduce_link = 3 * stage + 2;
    if (links == Links::Shared) cost.reduce_link = stage / 2;
    out.costs.stages.push_back(cost);
  }
  out.costs.links.resize(own_links);
  return out;
}

}  // namespace meshplan::planner
