// Launch configurations of every framework, as they are read back: the first line names it.
#include <algorithm>

#include "planner/export/launch.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const planner::FrameworkRules kRules{profiles::DataFiles()};
    const std::string_view text = fuzz::as_text(data, size);
    const std::size_t end = std::min(text.find('\n'), text.size());
    const auto& framework = kRules.at(std::string(text.substr(0, end)), "first line");
    const std::string_view body = text.substr(std::min(end + 1, text.size()));
    planner::Problem problem;
    problem.model.layers = problem.model.heads = problem.model.kv_heads = 32;
    problem.model.hidden = problem.model.ffn = 64;
    (void)planner::launch_keys(framework, body, "file");
    const planner::Layout layout = planner::layout_from_launch(framework, body, problem, "file");
    const int least = std::min({layout.tp, layout.pp, layout.dp, layout.cp, layout.ep, layout.mbs,
                                layout.vpp, layout.hsdp, layout.expert_tp()});
    fuzz::require(least >= 1, "degrees are at least 1");
  });
}
