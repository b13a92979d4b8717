#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "cli/command.h"
#include "cli/usage_error.h"
#include "profiles/input_error.h"

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
    app.parse(argc, argv);
    return printed(action());
  } catch (const CLI::CallForHelp& help) {
    return printed(app.exit(help));
  } catch (const CLI::CallForAllHelp& help) {
    return printed(app.exit(help));
  } catch (const CLI::CallForVersion& version) {
    return printed(app.exit(version));
  } catch (const CLI::ParseError& error) {
    return refuse(cli::usage_error(app, error), cli::kBadInput);
  } catch (const profiles::InputError& error) {
    return refuse(error.what(), cli::kBadInput);
  } catch (const std::bad_alloc&) {
    return refuse("out of memory on this machine", cli::kDeviceFailure);
  } catch (const std::exception& error) {
    return refuse(std::string("internal error: ") + error.what(), cli::kBug);
  }
}
