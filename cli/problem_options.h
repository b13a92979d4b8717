#pragma once
#include <string>
#include <vector>

#include "planner/problem.h"
#include "profiles/data_files.h"

namespace CLI {
class App;
}

namespace meshplan::cli {

/// Flags that state a problem, shared by plan, predict, explain. Strings as given; read by
/// problem_from.
struct ProblemOptions {
  std::string model, cluster;
  std::string model_config;  ///< the text of a config.json, where no model is named
  std::string seq_len, global_batch, dtype = "bf16", optimizer = "adam";
  std::string framework;
  std::string attention;       ///< "", "flash", "unfused"
  std::string optimizer_sync;  ///< "", "global", "post_validated"
  std::string profiles;        ///< --profiles DIR
  std::string memory_margin;
  std::vector<std::string> settings;  ///< --set KEY=VALUE
};

void add_problem_options(CLI::App& command, ProblemOptions& options);

/// Reads presets and files. Throws InputError for anything missing or wrong.
planner::Problem problem_from(const ProblemOptions& options, const profiles::DataFiles& files);

/// `cluster` with the facts that `--set` changes, in their order. Refuses a key given twice.
profiles::Cluster with_settings(profiles::Cluster cluster, const std::vector<std::string>& settings,
                                const profiles::DataFiles& files);

/// Directories of `--profiles` and the user's own, over what the binary carries.
profiles::DataFiles data_files(const ProblemOptions& options);
}  // namespace meshplan::cli
