#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace meshplan::cli {

/// Exit codes: docs/exit-codes.md.
enum Exit : int {
  kDone = 0,
  kAnswerIsNo = 1,
  kBadInput = 2,
  kDeviceFailure = 3,
  kBug = 4,
};

/// What main runs once the command line is read; returns an exit code.
using Action = std::function<int()>;

/// Each command lives in a file of its name. It adds its subcommand to `app` and, when that is the
/// one given, sets `action`.
void add_plan(CLI::App& app, Action& action);
void add_predict(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_profile(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);

}  // namespace meshplan::cli
