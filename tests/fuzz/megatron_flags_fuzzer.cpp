// Flags of Megatron-LM runs: layout, workload and model.
#include "planner/export/megatron_flags.h"
#include "planner/export/megatron_model.h"
#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const planner::FlagList flags =
        planner::read_flags(planner::shell_words(fuzz::as_text(data, size), "flags"));
    if (const auto config = planner::megatron_model_config(flags, "flags")) {
      (void)planner::read_config(profiles::JsonNode::parse(*config, "flags"), "flags");
    }
    constexpr int kLayers = 96;
    constexpr int kWorld = 1024;
    const planner::MegatronRun run = planner::read_megatron_flags(flags, kLayers, kWorld, "flags");
    fuzz::require(planner::normalised(run.layout) == run.layout, "flags give a normal layout");
    fuzz::require(run.layout.devices() == kWorld, "flags use all devices");
  });
}
