// Measured tables of GEMMs and attention.
#include "planner/fit/tables.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::file_with(fuzz::as_text(data, size), "table.csv");
  return fuzz::accept_or_refuse([&] {
    const planner::Tables tables = planner::read_tables({path});
    for (const auto& row : tables.gemm) fuzz::require(row.seconds > 0, "GEMMs take time");
    for (const auto& row : tables.attention) fuzz::require(row.seconds > 0, "attention takes time");
  });
}
