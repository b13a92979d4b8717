// config.json of Hugging Face: any document gives a consistent model or a refusal.
#include "planner/model/config.h"
#include "planner/model/parameters.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "config.json");
    const planner::Transformer model = planner::read_config(document, "fuzzed");
    fuzz::require(model.layers > 0 && model.hidden > 0 && model.heads > 0, "a model has a shape");
    fuzz::require(planner::parameter_count(model) > 0, "a model has parameters");
  });
}
