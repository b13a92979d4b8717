#include "runtime/serve/batches.h"

#include <algorithm>
#include <set>

namespace meshplan::runtime {

using planner::RequestWork;

std::vector<std::vector<RequestWork>> microbatches(const std::vector<RequestWork>& work, int most) {
  std::int64_t tokens = 0;
  for (const RequestWork& w : work) tokens += w.tokens;
  const std::int64_t count = std::min<std::int64_t>(most, tokens);
  std::vector<std::vector<RequestWork>> out(static_cast<std::size_t>(count));
  std::int64_t taken = 0;
  std::int64_t part = 0;
  for (RequestWork w : work) {
    while (w.tokens > 0) {
      const std::int64_t end = tokens * (part + 1) / count;
      const int now = static_cast<int>(std::min<std::int64_t>(w.tokens, end - taken));
      out[static_cast<std::size_t>(part)].push_back({w.request, w.first, now});
      taken += now;
      w.first += now;
      w.tokens -= now;
      if (taken == end) ++part;
    }
  }
  return out;
}

SlotPlan slot_plan(const planner::ServingSchedule& schedule) {
  SlotPlan out;
  out.slot.assign(schedule.requests.size(), -1);
  for (const planner::ServedRequest& request : schedule.requests) {
    out.capacity = std::max<std::int64_t>(out.capacity, request.prompt + request.output);
  }
  std::set<int> free;
  for (const planner::ServingStep& step : schedule.steps) {
    for (const RequestWork& w : step.work) {
      int& slot = out.slot[static_cast<std::size_t>(w.request)];
      if (slot >= 0) continue;
      if (free.empty()) free.insert(out.slots++);
      slot = *free.begin();
      free.erase(free.begin());
    }
    // The last token of an answer is never read again.
    for (const RequestWork& w : step.work) {
      const planner::ServedRequest& r = schedule.requests[static_cast<std::size_t>(w.request)];
      if (w.first + w.tokens == r.prompt + r.output - 1) {
        free.insert(out.slot[static_cast<std::size_t>(w.request)]);
      }
    }
  }
  return out;
}

std::vector<Batch> batches(std::span<const RequestWork> work, const SlotPlan& slots,
                           const std::vector<bool>& gives_token) {
  std::vector<Batch> out;
  int row = 0;
  for (std::size_t i = 0; i < work.size(); ++i) {
    const RequestWork& w = work[i];
    const int slot = slots.slot[static_cast<std::size_t>(w.request)];
    const bool alike = !out.empty() && out.back().slot + out.back().sequences == slot &&
                       out.back().first == w.first && out.back().tokens == w.tokens &&
                       out.back().gives_token == gives_token[i];
    if (alike) {
      ++out.back().sequences;
    } else {
      out.push_back({row, 1, slot, w.first, w.tokens, gives_token[i]});
    }
    row += w.tokens;
  }
  return out;
}

}  // namespace meshplan::runtime
