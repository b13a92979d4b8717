#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cli/command.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace {

using namespace meshplan;

/// One line, whatever the message holds.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

int refuse(const std::string& message, int code) {
  std::fprintf(stderr, "meshplan: %s\n", one_line(message).c_str());
  return code;
}

/// `code`, unless what was printed got lost: a full disk or a closed pipe is seen here at the
/// latest.
int printed(int code) {
  const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  return lost ? refuse("standard output cannot be written", cli::kBadInput) : code;
}

/// CLI11 would only say that a subcommand is required.
void refuse_unknown_command(CLI::App& app, int argc, char** argv) {
  if (argc < 2 || *argv[1] == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) {
    known.push_back(command->get_name());
    if (known.back() == argv[1]) return;
  }
  throw profiles::InputError(
      "meshplan", "a command (see 'meshplan --help')",
      "'" + std::string(argv[1]) + "'" + profiles::did_you_mean(argv[1], known));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Plans how a transformer is split over GPUs, and shows whether the plan is true.",
               "meshplan"};
  app.set_version_flag("--version", "meshplan " MESHPLAN_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  cli::Action action;
  cli::add_plan(app, action);
  cli::add_predict(app, action);
  cli::add_explain(app, action);
  cli::add_export(app, action);
  cli::add_run(app, action);
  cli::add_profile(app, action);
  cli::add_evaluate(app, action);
  cli::add_check(app, action);
  cli::add_list(app, action);

  try {
    refuse_unknown_command(app, argc, argv);
    app.parse(argc, argv);
    return printed(action());
  } catch (const CLI::CallForHelp& help) {
    return printed(app.exit(help));
  } catch (const CLI::CallForAllHelp& help) {
    return printed(app.exit(help));
  } catch (const CLI::CallForVersion& version) {
    return printed(app.exit(version));
  } catch (const CLI::ParseError& error) {
    return refuse(std::string(error.what()) + " (see 'meshplan --help')", cli::kBadInput);
  } catch (const profiles::InputError& error) {
    return refuse(error.what(), cli::kBadInput);
  } catch (const std::bad_alloc&) {
    return refuse("out of memory on this machine", cli::kDeviceFailure);
  } catch (const std::exception& error) {
    return refuse(std::string("internal error: ") + error.what(), cli::kBug);
  }
}
