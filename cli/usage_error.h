#pragma once
#include <CLI/App.hpp>
#include <string>

namespace meshplan::cli {

/// What is wrong with the command line that `app` refused with `error`, in the form of InputError:
/// where, what was expected, what was found. CLI11's own words name neither the flag that was
/// nearest nor the command whose help tells more.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error);

}  // namespace meshplan::cli
