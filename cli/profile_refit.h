#pragma once
#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace meshplan::cli {

/// `meshplan profile refit`
void add_refit(CLI::App& profile, Action& action);

}  // namespace meshplan::cli
