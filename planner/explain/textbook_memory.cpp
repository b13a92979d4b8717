#include "planner/explain/textbook_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "planner/layout/legality.h"
#include "planner/model/parameters.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

Bytes rounded(double bytes) { return {static_cast<std::int64_t>(bytes + 0.5)}; }

double parameters_a_rank(const Problem& problem, const Layout& layout) {
  return static_cast<double>(parameter_count(problem.model)) / layout.tp / layout.pp;
}

/// Layers' worth of activations that the first stage holds.
double layers_in_flight(const Problem& problem, const Layout& layout) {
  const double p = layout.pp;
  const double m = std::max(1, microbatches(layout, problem.workload));
  double layers = problem.model.layers * std::min(1.0, m / p);
  if (layout.chunks_per_stage() > 1) layers *= 1 + (p - 1) / (p * layout.chunks_per_stage());
  return layers;
}

/// s b h of one rank.
double stream(const Problem& problem, const Layout& layout) {
  return static_cast<double>(problem.workload.seq_len) / layout.cp * layout.mbs *
         problem.model.hidden;
}

}  // namespace

TextbookEstimate states_estimate(const Problem& problem, const Layout& layout) {
  const double d = layout.shards();
  double bytes = 16;
  std::string formula = "16 P / (tp pp)";
  if (layout.zero == 1) bytes = 4 + 12 / d, formula = "(4 + 12/D) P / (tp pp)";
  if (layout.zero == 2) bytes = 2 + 14 / d, formula = "(2 + 14/D) P / (tp pp)";
  if (layout.zero == 3) bytes = 16 / d, formula = "16 P / (D tp pp)";
  return {"16 bytes a parameter",
          formula,
          bytes,
          rounded(bytes * parameters_a_rank(problem, layout)),
          {}};
}

Bytes attention_matrix_bytes(const Problem& problem, const Layout& layout) {
  if (layout.recompute != Recompute::None) return {};
  const double seq = static_cast<double>(problem.workload.seq_len) / layout.cp;
  return rounded(5.0 * problem.model.heads * seq * seq * layout.mbs *
                 layers_in_flight(problem, layout) / layout.tp);
}

TextbookEstimate korthikanti_estimate(const Problem& problem, const Layout& layout) {
  const double d = layout.shards();
  const double t = layout.tp;
  const double state = layout.zero == 0 ? 18 : layout.zero == 3 ? 18 / d : 6 + 12 / d;
  const double held = stream(problem, layout) * layers_in_flight(problem, layout);
  double activations = 2 * held;
  std::string formula = "2 s b h L";
  if (layout.recompute != Recompute::Full) {
    activations = held * (layout.sp ? 34 / t : 10 + 24 / t);
    formula = layout.sp ? "34 s b h L / t" : "(10 + 24/t) s b h L";
    if (layout.recompute == Recompute::None) formula += " + 5 a s s b L / t";
  }
  const char* states = layout.zero == 0   ? "18 P / (tp pp)"
                       : layout.zero == 3 ? "18 P / (D tp pp)"
                                          : "(6 + 12/D) P / (tp pp)";
  return {"Korthikanti et al.", fmt::format("{} + {}", states, formula), state,
          rounded(state * parameters_a_rank(problem, layout)),
          rounded(activations) + attention_matrix_bytes(problem, layout)};
}

}  // namespace meshplan::planner
