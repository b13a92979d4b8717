// A file of `plan --inference`, as `run` and `export` read it.
#include "planner/inference/serving_file.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "serving.json");
    const planner::ServingFile file = planner::read_serving(document, files);
    fuzz::require(!file.plans.empty(), "a serving file holds a plan");
    fuzz::require(file.problem.workload.prompt > 0, "its prompts have tokens");
  });
}
