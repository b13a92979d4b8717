#include "planner/cost/collective/call_timing.h"

#include <algorithm>
#include <array>
#include <string>

namespace meshplan::planner {
namespace {

constexpr std::array<std::string_view, kCallTimings> kNames = {"graph", "launched", "kernel",
                                                               "program"};

struct Habit {
  std::string_view prefix;
  CallTiming timing;
};
constexpr Habit kSources[] = {{"nccl-tests style", CallTiming::Graph},
                              {"vidur", CallTiming::Kernel},
                              {"xla", CallTiming::Program}};

}  // namespace

std::string_view name(CallTiming timing) { return kNames[static_cast<std::size_t>(timing)]; }

std::optional<CallTiming> call_timing_from(std::string_view text) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<CallTiming>(found - kNames.begin());
}

CallTiming call_timing_of_source(std::string_view source) {
  if (source.empty()) return CallTiming::Graph;
  for (const Habit& habit : kSources) {
    if (source.starts_with(habit.prefix)) return habit.timing;
  }
  return CallTiming::Launched;
}

profiles::Seconds as_timed(profiles::Seconds call, CallTiming timing, int ranks, int servers,
                           const CollectiveProfile& profile) {
  const auto found = profile.timings.find(std::string(name(timing)));
  if (ranks < 2 || found == profile.timings.end()) return call;
  const TimingOverhead& overhead = found->second;
  const int devices = (ranks + servers - 1) / servers;
  const double wait = ranks > 2 ? overhead.wait : 0;
  const double least = std::max(devices * overhead.launch, wait);
  return profiles::Seconds{std::max(call.count(), least) + overhead.added};
}

}  // namespace meshplan::planner
