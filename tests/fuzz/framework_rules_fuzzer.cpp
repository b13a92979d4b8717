// Tables of framework rules: conditions, messages, and their values on a layout.
#include "planner/export/framework_rules.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const planner::FrameworkRules rules(
        profiles::JsonNode::parse(fuzz::as_text(data, size), "table"));
    planner::Problem problem;
    problem.model.layers = problem.model.heads = problem.model.kv_heads = 8;
    problem.model.hidden = problem.model.ffn = 64;
    problem.workload.seq_len = problem.workload.global_batch = 64;
    planner::Layout layout;
    layout.tp = layout.pp = 2;
    for (const planner::TargetFramework& framework : rules.all()) {
      planner::FrameworkJudge judge(framework, problem);
      fuzz::require(judge.broken_rule(layout).has_value() == !judge.broken_rules(layout).empty(),
                    "both ways of judging agree");
    }
  });
}
