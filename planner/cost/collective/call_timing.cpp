#include "planner/cost/collective/call_timing.h"

#include <algorithm>
#include <array>
#include <string>

namespace meshplan::planner {
namespace {

constexpr std::array<std::string_view, kCallTimings> kNames = {"graph", "launched", "kernel",
                                                               "program"};

}  // namespace

std::string_view name(CallTiming timing) { return kNames[static_cast<std::size_t>(timing)]; }

std::optional<CallTiming> call_timing_from(std::string_view text) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<CallTiming>(found - kNames.begin());
}

profiles::Seconds as_timed(profiles::Seconds call, CallTiming timing, int ranks, int servers,
                           bool old_host, const CollectiveProfile& profile) {
  const auto found = profile.timings.find(std::string(name(timing)));
  if (ranks < 2 || found == profile.timings.end()) return call;
  const TimingOverhead& overhead = found->second;
  const int devices = servers == 1 ? ranks : 1;
  const double wait = ranks > 2 ? overhead.wait : 0;
  const double slower = old_host ? profile.old_host_scale : 1;
  const double least = slower * std::max(devices * overhead.launch, wait);
  return profiles::Seconds{std::max(call.count(), least) + overhead.added};
}

}  // namespace meshplan::planner
