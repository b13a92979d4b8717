// plan.json, as `predict plan.json` reads it.
#include "planner/plan_json.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "plan.json");
    const planner::PlanFile file = planner::read_plan(document, files);
    fuzz::require(!file.layouts.empty(), "a plan file holds a layout");
    fuzz::require(file.problem.cluster.devices() > 0, "its cluster has devices");
  });
}
