// torchgpipe 0.0.7: one process, an nn.Sequential cut by `balance`.
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
  // Children of the nn.Sequential: embedding, layers, head.
  std::vector<int> balance = layers_of_chunks(plan);
  balance.front() += 1;
  balance.back() += 1;
  std::vector<int> devices(balance.size());
  std::iota(devices.begin(), devices.end(), 0);
  const int chunks = microbatches(l, plan.problem.workload);
  std::string out = comment_lines(plan);
  out += "from torchgpipe import GPipe\n\n";
  out += fmt::format("BATCH_SIZE = {}  # sequences of a step: {} micro-batches of {}\n",
                     plan.problem.workload.global_batch, chunks, l.mbs);
  out += fmt::format("SEQ_LEN = {}\n\n\n", plan.problem.workload.seq_len);
  out +=
      "def partition(model):\n"
      "    \"\"\"`model`: nn.Sequential(embedding, layer, ..., layer, head).\"\"\"\n";
  out += fmt::format(
      "    return GPipe(\n        model,\n        balance={},\n        devices={},\n"
      "        chunks={},\n        checkpoint=\"{}\",\n    )\n",
      python_list(balance), python_list(devices), chunks,
      l.recompute == Recompute::Full ? "always" : "never");
  return out;
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const auto call = python_call(text, "GPipe");
  if (!call) throw profiles::InputError(where, "a call of GPipe", "none");
  const auto argument = [&](const char* name) -> std::string {
    const auto at = call->named.find(name);
    if (at == call->named.end()) {
      throw profiles::InputError(where, std::string("GPipe(..., ") + name + "=...)", "it missing");
    }
    return at->second;
  };
  Layout out;
  out.stages = python_numbers(argument("balance"));
  if (out.stages.empty()) throw profiles::InputError(where, "a balance", "none");
  out.stages.front() -= 1;
  out.stages.back() -= 1;
  out.pp = static_cast<int>(out.stages.size());
  if (out.pp > 1) out.schedule = ScheduleKind::GPipe;
  const int batch = python_number(python_value(text, "BATCH_SIZE"), where);
  out.mbs = batch / python_number(argument("chunks"), where);
  out.recompute = argument("checkpoint") == "\"never\"" ? Recompute::None : Recompute::Full;
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string&) {
  return python_keys(text, {"GPipe"});
}

}  // namespace

const FrameworkFormat kGPipeFormat = {"gpipe", write, read, keys};

}  // namespace meshplan::planner
