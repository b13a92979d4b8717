// Recorded runs: a file that is one keeps every run, readable or refused.
#include "planner/evaluate/runs.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "runs.json");
    const auto runs = planner::read_runs(document, files);
    fuzz::require(runs.size() == document.at("runs").elements().size(), "no run is dropped");
    for (const planner::RecordedRun& run : runs) {
      fuzz::require(run.layout || run.refusal, "a run has a layout or says why not");
    }
  });
}
