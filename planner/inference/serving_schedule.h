#pragma once
#include <cstdint>
#include <vector>

#include "planner/inference/serve.h"
#include "planner/inference/step.h"
#include "profiles/engine.h"
#include "profiles/units.h"

/// What a replica does while it serves, as plain data with two interpreters: serve() prices each
/// step, runtime/serve executes it. The scheduler of serve() makes it.
namespace meshplan::planner {

/// Tokens [first, first + tokens) of one request's text, which is its prompt and then its answer.
/// Those before are in the cache, and these are when the step is done: a prompt, a chunk of one, or
/// the one token that decodes the next. Whatever ends at the end of the text gives a new token.
struct RequestWork {
  int request = 0;  ///< in the order of sending
  int first = 0;
  int tokens = 1;
  friend bool operator==(const RequestWork&, const RequestWork&) = default;
};

struct ServingStep {
  Step totals;                    ///< what the step is priced by
  std::vector<RequestWork> work;  ///< prompts first
};

struct ServedRequest {
  int prompt = 1, output = 1;
  int sent_after = 0;  ///< steps that are done when it is sent
};

struct ServingSchedule {
  std::vector<ServedRequest> requests;
  std::vector<ServingStep> steps;
};

/// The steps of `load` on one replica; none if one request alone does not fit the cache. They do
/// not depend on how long a step takes as long as the front end takes no time: throws InputError
/// for a load of users of an engine whose does.
ServingSchedule serving_schedule(const profiles::Engine& engine, const Load& load,
                                 std::int64_t room);

/// What users see when step i ends at `ends[i]` after the beginning: what serve() reports of it.
Service service_of(const ServingSchedule& schedule, const std::vector<profiles::Seconds>& ends);

}  // namespace meshplan::planner
