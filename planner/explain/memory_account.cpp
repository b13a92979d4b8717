#include "planner/explain/memory_account.h"

#include <fmt/format.h>

#include <algorithm>

#include "planner/memory/model_states.h"
#include "profiles/number_format.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::human;

bool is_state(std::string_view key) {
  return key == "weights_bytes" || key == "gradients_bytes" || key == "optimizer_bytes";
}

void largest_first(std::vector<MemoryTerm>& terms) {
  std::stable_sort(terms.begin(), terms.end(),
                   [](const MemoryTerm& a, const MemoryTerm& b) { return a.size > b.size; });
}

std::string signed_size(Bytes size) {
  return size < Bytes{0} ? human(Bytes{-size.count}) + " less" : human(size) + " more";
}

/// What of the difference is worth a clause: 2% of what we say.
bool worth_naming(Bytes size, Bytes peak) {
  return 50 * std::abs(size.count) >= std::abs(peak.count);
}

EstimateCheck check(const Problem& problem, const Plan& plan, const StageMemory& ours,
                    const TextbookEstimate& estimate) {
  const Bytes peak = ours.device();
  EstimateCheck out{estimate, estimate.total() - peak, {}, ""};
  const bool knows_activations = estimate.activations > Bytes{0};
  for (const MemoryTerm& term : memory_terms(ours)) {
    const bool known = is_state(term.key) || (knows_activations && term.key == "activations_bytes");
    if (!known && term.size > Bytes{0}) out.left_out.push_back(term);
  }
  largest_first(out.left_out);

  std::string left_out;
  Bytes left_out_small{};
  for (const MemoryTerm& term : out.left_out) {
    if (worth_naming(term.size, peak)) {
      left_out +=
          fmt::format("{}{} {}", left_out.empty() ? "" : ", ", term.words, human(term.size));
    } else {
      left_out_small += term.size;
    }
  }
  if (left_out_small > Bytes{0} && worth_naming(left_out_small, peak)) {
    left_out += fmt::format("{}the rest {}", left_out.empty() ? "" : ", ", human(left_out_small));
  }
  std::string why;
  const auto clause = [&](const std::string& text) { why += (why.empty() ? "" : "; ") + text; };
  if (!left_out.empty()) clause("leaves out " + left_out);

  // States differ by the bytes of a parameter, and by what this stage holds beside an even share.
  const double even = static_cast<double>(estimate.states.count) / estimate.bytes_a_parameter;
  const double ours_a_parameter = state_bytes(problem.framework, problem.workload.optimizer,
                                              plan.layout.zero, plan.layout.shards())
                                      .sum();
  const Bytes at_our_rate{static_cast<std::int64_t>(even * ours_a_parameter)};
  if (worth_naming(at_our_rate - estimate.states, peak)) {
    clause(fmt::format("counts {:.4g} bytes of states a parameter where {} habits keep {:.4g}",
                       estimate.bytes_a_parameter, problem.framework.name, ours_a_parameter));
  }
  const Bytes states = ours.weights + ours.gradients + ours.optimizer;
  if (const Bytes more = states - at_our_rate; worth_naming(more, peak)) {
    clause(fmt::format("takes an even share of the parameters, those of this stage take {}",
                       signed_size(more)));
  }
  if (knows_activations) {
    const Bytes matrices =
        problem.uses_flash_attention() ? attention_matrix_bytes(problem, plan.layout) : Bytes{};
    if (worth_naming(matrices, peak)) {
      clause(fmt::format("counts {} of s x s attention matrices that flash attention never keeps",
                         human(matrices)));
    }
    const Bytes more = ours.activations - (estimate.activations - matrices);
    if (worth_naming(more, peak)) {
      clause(fmt::format("counts GPT layers under 1f1b where this model and schedule keep {}",
                         signed_size(more)));
    }
  }
  const Bytes distance{std::abs(out.off.count)};
  out.why =
      fmt::format("{}: {} says {}, {} too {}", estimate.name, estimate.formula,
                  human(estimate.total()), human(distance), out.off < Bytes{0} ? "little" : "much");
  out.why += why.empty() ? "." : "; it " + why + ".";
  return out;
}

}  // namespace

std::vector<MemoryTerm> memory_terms(const StageMemory& m) {
  return {{"weights_bytes", "weights", m.weights},
          {"gradients_bytes", "gradients", m.gradients},
          {"optimizer_bytes", "optimizer", m.optimizer},
          {"activations_bytes", "activations", m.activations},
          {"loss_bytes", "logits and loss", m.loss},
          {"buffers_bytes", "buffers", m.buffers},
          {"workspace_bytes", "library workspace", m.workspace},
          {"fragmentation_bytes", "allocator fragmentation", m.fragmentation},
          {"context_bytes", "CUDA context", m.context},
          {"communicators_bytes", "NCCL communicators", m.communicators}};
}

MemoryAccount memory_account(const Problem& problem, const Plan& plan) {
  const std::vector<StageMemory>& stages = plan.prediction.memory;
  const auto fullest = std::max_element(
      stages.begin(), stages.end(),
      [](const StageMemory& a, const StageMemory& b) { return a.device() < b.device(); });
  MemoryAccount out;
  out.stage = static_cast<int>(fullest - stages.begin());
  out.terms = memory_terms(*fullest);
  largest_first(out.terms);
  out.peak = fullest->device();
  out.limit = problem.memory_limit();
  for (const TextbookEstimate& estimate :
       {states_estimate(problem, plan.layout), korthikanti_estimate(problem, plan.layout)}) {
    out.estimates.push_back(check(problem, plan, *fullest, estimate));
  }
  return out;
}

}  // namespace meshplan::planner
