// torch.nn.DataParallel of PyTorch 2.9: one process drives all devices. Written so that it can be
// recognised and compared; data_parallel.h says what it costs.
#include <fmt/format.h>

#include <numeric>

#include "planner/export/framework_format.h"
#include "planner/export/python_source.h"
#include "planner/layout/legality.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  std::vector<int> devices(static_cast<std::size_t>(l.dp));
  std::iota(devices.begin(), devices.end(), 0);
  std::string out = comment_lines(plan);
  out += "import torch\n" + python_recompute(l.recompute);
  if (l.recompute == Recompute::None) out += "\n";
  out += fmt::format("MICRO_BATCH_SIZE = {}  # sequences of one device and backward\n", l.mbs);
  out += fmt::format("GRADIENT_ACCUMULATION_STEPS = {}  # backwards of a step\n",
                     microbatches(l, plan.problem.workload));
  out +=
      "\n\ndef replicate(model, layers):\n"
      "    \"\"\"`model` on device 0; `layers`: its decoder layers, a ModuleList.\"\"\"\n";
  if (l.recompute != Recompute::None) {
    out +=
        "    for index in range(len(layers)):\n"
        "        layers[index] = recompute(layers[index])\n";
  }
  out +=
      fmt::format("    return torch.nn.DataParallel(model, device_ids={})\n", python_list(devices));
  return out;
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const auto call = python_call(text, "DataParallel");
  if (!call || !call->named.contains("device_ids")) {
    throw profiles::InputError(where, "torch.nn.DataParallel(model, device_ids=[...])", "none");
  }
  Layout out;
  out.dp = static_cast<int>(python_numbers(call->named.at("device_ids")).size());
  out.mbs = python_number(python_value(text, "MICRO_BATCH_SIZE"), where);
  out.recompute = recompute_of(text);
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string&) {
  return python_keys(text, {"DataParallel", "checkpoint_wrapper"});
}

}  // namespace

const FrameworkFormat kDataParallelFormat = {"dataparallel", write, read, keys};

}  // namespace meshplan::planner
