#pragma once
#include "cli/command.h"

namespace CLI {
class App;
}

namespace meshplan::cli {

/// `meshplan profile refit`
void add_refit(CLI::App& profile, Action& action);

}  // namespace meshplan::cli
