// Schedules in the CSV form of torch.distributed.pipelining: what was read and written reads back
// as the same schedule.
#include "planner/schedule/schedule_csv.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const planner::Schedule schedule =
        planner::schedule_from_csv(fuzz::as_text(data, size), "schedule.csv");
    try {
      const planner::Schedule again =
          planner::schedule_from_csv(planner::schedule_csv(schedule), "written.csv");
      fuzz::require(again.programs == schedule.programs, "a schedule reads back as written");
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a schedule that was written is accepted");
    }
  });
}
