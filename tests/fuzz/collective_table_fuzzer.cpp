// Measured tables of collectives.
#include "planner/cost/collective/collective_table.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::file_with(fuzz::as_text(data, size), "collectives.csv");
  return fuzz::accept_or_refuse([&] {
    for (const planner::MeasuredCollective& row : planner::read_collective_table(path)) {
      fuzz::require(row.bytes.count >= 0 && row.ranks > 0 && row.time.count() > 0,
                    "a collective has ranks and takes time");
    }
  });
}
