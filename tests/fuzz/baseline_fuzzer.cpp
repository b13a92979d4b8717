// Baselines of `check`: what is read is written and read again to the same text.
#include "planner/check/baseline.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "baseline.json");
    const std::string text = planner::baseline_text(planner::read_baseline(document));
    const auto again = profiles::JsonNode::parse(text, "written");
    fuzz::require(planner::baseline_text(planner::read_baseline(again)) == text,
                  "writing and reading keep a baseline");
  });
}
