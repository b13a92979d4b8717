#pragma once
#include <map>
#include <string>

namespace meshplan::cli_test {

/// A port of this machine that nobody uses at this moment.
int free_port();

/// What torchrun tells rank `rank` of `ranks` on this machine, which meet at `port`.
std::map<std::string, std::string> torchrun_variables(int rank, int ranks, int port);

}  // namespace meshplan::cli_test
