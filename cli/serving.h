#pragma once
#include <string>

#include "cli/problem_options.h"

namespace CLI {
class App;
}

namespace meshplan::cli {

/// Flags of `plan --inference` and `predict --inference`, as given.
struct ServingOptions {
  bool inference = false;
  std::string prompt, output, concurrency, batch, max_ttft_ms, max_tpot_ms;
  std::string engine;  ///< empty: that of --for, else generic
};
void add_serving_options(CLI::App& command, ServingOptions& options);
/// Throws InputError for a flag of serving without --inference, which would otherwise do nothing.
void require_inference_with(const ServingOptions& options);

/// What both commands print and write besides.
struct ServingOutput {
  std::string top = "10", objective = "throughput", fixed, runs_on, out;
  bool as_json = false;
};

/// The best layouts for serving; an exit code.
int plan_serving(const ProblemOptions& problem, const ServingOptions& serving,
                 const ServingOutput& output);
/// One layout while it serves; an exit code.
int predict_serving(const ProblemOptions& problem, const ServingOptions& serving,
                    const std::string& layout, const ServingOutput& output);

}  // namespace meshplan::cli
