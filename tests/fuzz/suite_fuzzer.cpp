// Suites of `check`: what is read has something to hold, under names of its own.
#include <set>

#include "planner/check/suite.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "suite.json");
    const planner::Suite suite = planner::read_suite(document, "no-such-folder", files);
    fuzz::require(!suite.questions.empty() || !suite.recorded.empty(), "a suite holds something");
    std::set<std::string> names;
    for (const planner::Question& question : suite.questions) {
      fuzz::require(names.insert(question.name).second, "each question has a name of its own");
      fuzz::require(question.tolerance >= 0 && question.tolerance < 1, "a tolerance is a fraction");
      fuzz::require(question.problem.cluster.devices() >= 1, "a question has devices");
    }
  });
}
