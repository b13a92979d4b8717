#include "planner/explain/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "planner/search/unbeatable_step.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

constexpr std::int64_t kMostDevices = 10'000'000;
constexpr int kMostBetween = 32;
constexpr int kPatience = 4;

/// The smallest of 1, 2, 3 and 4, 5, 6, 7 times powers of two that is at least `least`.
std::int64_t rung_from(std::int64_t least) {
  std::int64_t unit = 1;
  while (8 * unit <= least) unit *= 2;
  return (least + unit - 1) / unit * unit;
}

class Fleet {
 public:
  Fleet(const Problem& problem, const FleetQuestion& question, const SearchOptions& options,
        const std::function<void(const FleetSize&)>& progress)
      : problem_(problem), question_(question), options_(options), progress_(progress) {
    options_.top = 1;
    options_.mend_miss = false;
    const double tokens_per_step =
        static_cast<double>(problem.workload.seq_len) * problem.workload.global_batch;
    answer_.steps = static_cast<std::int64_t>(std::ceil(question.tokens / tokens_per_step));
    answer_.least_nodes = least_nodes();
  }

  FleetAnswer run() {
    const std::int64_t least = answer_.least_nodes;
    std::int64_t before = least - 1;
    std::int64_t at = least;
    int in_vain = 0;
    bool met = false;
    while (!met && in_vain < kPatience && allowed(at)) {
      const Seconds fastest = fastest_time();
      const FleetSize& size = try_size(static_cast<int>(at));
      met = size.meets();
      const bool useful = size.plan && (fastest == Seconds{0} || size.time < fastest) &&
                          (!size.in_time || size.in_budget);
      // Small sizes that hold no model yet are not in vain: larger ones may.
      const bool too_small = !size.plan && fastest == Seconds{0} && size.devices <= most_useful();
      in_vain = useful || too_small ? 0 : in_vain + 1;
      if (!met) before = at, at = rung_from(at + 1);
    }
    const std::int64_t step = met ? refine(before, at) : 0;
    if (fastest_time() == Seconds{0}) largest_that_runs();
    finish(met, before, at, step);
    return std::move(answer_);
  }

 private:
  /// Devices beyond this have more replicas than the batch has sequences, whatever the degrees.
  [[nodiscard]] std::int64_t most_useful() const {
    return std::int64_t{1} * problem_.workload.global_batch * problem_.model.heads *
           (problem_.model.layers + 2);
  }
  [[nodiscard]] bool allowed(std::int64_t nodes) const {
    const std::int64_t devices = nodes * problem_.cluster.devices_used_per_node;
    return devices <= kMostDevices && nodes <= kMostDevices;
  }

  int least_nodes() const {
    const double one = unbeatable_step(resized(problem_, 1)).count();
    const double needed = one * static_cast<double>(answer_.steps) / question_.deadline.count();
    return static_cast<int>(std::clamp(std::ceil(needed), 1.0, static_cast<double>(kMostDevices)));
  }

  [[nodiscard]] Seconds fastest_time() const {
    Seconds out{0};
    for (const FleetSize& size : answer_.sizes) {
      if (size.plan && (out == Seconds{0} || size.time < out)) out = size.time;
    }
    return out;
  }

  const FleetSize& try_size(int nodes) {
    const Problem sized = resized(problem_, nodes);
    FleetSize out;
    out.nodes = nodes;
    out.devices = sized.cluster.devices();
    PlanResult found = search(sized, options_);
    if (!found.plans.empty()) {
      out.plan = std::move(found.plans.front());
      out.time = static_cast<double>(answer_.steps) * out.plan->prediction.step;
      out.in_time = out.time <= question_.deadline;
      if (question_.dollars_per_device_hour) {
        out.dollars = static_cast<double>(out.devices) * out.time.count() / 3600 *
                      *question_.dollars_per_device_hour;
      }
      out.in_budget =
          !question_.most_dollars || !out.dollars || *out.dollars <= *question_.most_dollars;
    }
    if (progress_) progress_(out);
    answer_.sizes.push_back(std::move(out));
    return answer_.sizes.back();
  }

  /// Sizes between `before`, which does not do, and `met`, which does; the step between them.
  std::int64_t refine(std::int64_t before, std::int64_t met) {
    const std::int64_t step = (met - before + kMostBetween - 1) / kMostBetween;
    for (std::int64_t at = before + step; at < met; at += step) {
      if (try_size(static_cast<int>(at)).meets()) break;
    }
    return step;
  }

  /// Where no size that could be in time has a layout: the largest power of two below that has one.
  void largest_that_runs() {
    std::int64_t at = 1;
    while (2 * at < answer_.least_nodes) at *= 2;
    for (; at >= 1 && at < answer_.least_nodes; at /= 2) {
      if (try_size(static_cast<int>(at)).plan) return;
    }
  }

  void finish(bool met, std::int64_t before, std::int64_t at, std::int64_t step) {
    std::sort(answer_.sizes.begin(), answer_.sizes.end(),
              [](const FleetSize& a, const FleetSize& b) { return a.nodes < b.nodes; });
    for (std::size_t i = 0; i < answer_.sizes.size() && !answer_.chosen; ++i) {
      if (answer_.sizes[i].meets()) answer_.chosen = i;
    }
    answer_.how =
        answer_.least_nodes > 1
            ? fmt::format("fewer than {} nodes cannot be in time even at peak; from there ",
                          answer_.least_nodes)
            : "";
    answer_.how += "4, 5, 6 and 7 times powers of two";
    if (met && at - before > 1) {
      answer_.how += step == 1
                         ? fmt::format(", then every size from {} up", before + 1)
                         : fmt::format(", then every {} nodes from {} up", step, before + step);
    }
    if (!met) {
      answer_.how += fmt::format(" up to {}, where more nodes no longer helped",
                                 answer_.sizes.empty() ? 0 : answer_.sizes.back().nodes);
    }
  }

  const Problem& problem_;
  const FleetQuestion& question_;
  SearchOptions options_;
  const std::function<void(const FleetSize&)>& progress_;
  FleetAnswer answer_;
};

}  // namespace

Problem resized(const Problem& problem, int nodes) {
  Problem out = problem;
  out.cluster.nodes = nodes;
  return out;
}

FleetAnswer smallest_fleet(const Problem& problem, const FleetQuestion& question,
                           const SearchOptions& options,
                           const std::function<void(const FleetSize&)>& progress) {
  return Fleet(problem, question, options, progress).run();
}

}  // namespace meshplan::planner
