// Constants of NCCL's tuning model.
#include "planner/cost/collective/nccl_constants.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "nccl.json");
    const planner::NcclConstants constants = planner::read_nccl_constants(document);
    fuzz::require(!constants.intra_speeds.empty(), "constants name speeds");
  });
}
