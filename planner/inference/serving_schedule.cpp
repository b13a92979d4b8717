#include "planner/inference/serving_schedule.h"

#include "profiles/input_error.h"

namespace meshplan::planner {

using profiles::Seconds;

ServingSchedule serving_schedule(const profiles::Engine& engine, const Load& load,
                                 std::int64_t room) {
  if (load.online && engine.receive + engine.request > Seconds{0}) {
    throw profiles::InputError("engine " + engine.name,
                               "a front end that takes no time, as that of 'embedded'",
                               "one that decides by the clock which step a request joins");
  }
  ServingSchedule out;
  serve([](const Step&) { return Seconds{1}; }, engine, load, room, &out);
  return out;
}

Service service_of(const ServingSchedule& schedule, const std::vector<Seconds>& ends) {
  struct Answer {
    Seconds first{0}, last{0};
    int tokens = 0;
  };
  std::vector<Answer> answers(schedule.requests.size());
  Service out;
  double decoded = 0, decode_steps = 0;
  for (std::size_t s = 0; s < schedule.steps.size(); ++s) {
    for (const RequestWork& work : schedule.steps[s].work) {
      Answer& answer = answers[static_cast<std::size_t>(work.request)];
      const int prompt = schedule.requests[static_cast<std::size_t>(work.request)].prompt;
      if (work.first + work.tokens < prompt + answer.tokens) continue;
      if (answer.tokens++ == 0) answer.first = ends[s];
      answer.last = ends[s];
    }
    const double decoding = schedule.steps[s].totals.decoding;
    decoded += decoding;
    decode_steps += decoding > 0 ? 1 : 0;
  }
  double tokens = 0;
  Samples ttft, tpot;
  for (std::size_t r = 0; r < answers.size(); ++r) {
    const int before = schedule.requests[r].sent_after;
    const Seconds sent = before > 0 ? ends[static_cast<std::size_t>(before) - 1] : Seconds{0};
    ttft.add((answers[r].first - sent).count(), 1);
    tokens += answers[r].tokens;
    if (answers[r].tokens < 2) continue;
    tpot.add(((answers[r].last - answers[r].first) / (answers[r].tokens - 1)).count(), 1);
  }
  out.ttft = ttft.mean();
  out.tpot = tpot.mean();
  out.ttft_percentiles = ttft.percentiles();
  out.tpot_percentiles = tpot.percentiles();
  if (!ends.empty()) out.duration = ends.back();
  if (out.duration > Seconds{0}) out.tokens_per_second = tokens / out.duration.count();
  if (decode_steps > 0) out.decoding = decoded / decode_steps;
  return out;
}

}  // namespace meshplan::planner
