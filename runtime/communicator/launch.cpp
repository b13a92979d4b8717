#include "runtime/communicator/launch.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "profiles/input_error.h"

namespace meshplan::runtime {
namespace {

using profiles::InputError;

struct Names {
  Launcher launcher;
  const char *rank, *ranks, *local_rank;
  const char* local_ranks;  ///< how many are on this machine
};
/// In the order in which they are asked: torchrun may itself run below a Slurm step.
constexpr std::array<Names, 4> kLaunchers = {{
    {Launcher::Torchrun, "RANK", "WORLD_SIZE", "LOCAL_RANK", nullptr},
    {Launcher::OpenMpi, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {Launcher::Pmi, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
    {Launcher::Slurm, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr},
}};

int number(const std::string& name, const std::string& text, int least, int most) {
  int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    throw InputError("environment variable " + name,
                     "a number from " + std::to_string(least) + " to " + std::to_string(most),
                     "'" + text + "'");
  }
  return value;
}

/// A port that all processes of a job agree on without talking.
int port_of_job(const Variable& variable) {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const char* name : {"SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE", "MASTER_PORT",
                           "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"}) {
    for (const char c : variable(name).value_or("")) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
  }
  constexpr std::uint32_t kFirst = 20000, kPorts = 10000;  // below the ports given out on demand
  return static_cast<int>(kFirst + hash % kPorts);
}

/// Empty: nobody tells.
std::string address_of(const Names& names, const std::string& ranks, const Variable& variable) {
  if (const auto given = variable("MASTER_ADDR")) return *given;
  if (names.launcher == Launcher::Torchrun) return "";
  if (const auto nodes = variable("SLURM_STEP_NODELIST")) return first_host(*nodes);
  const bool all_here = names.local_ranks != nullptr && variable(names.local_ranks) == ranks;
  return all_here ? "127.0.0.1" : "";
}

/// 0: nobody tells.
int port_of(Launcher launcher, const Variable& variable) {
  const auto given = variable("MASTER_PORT");
  if (given) {
    const int port = number("MASTER_PORT", *given, 1, 65535);
    if (variable("TORCHELASTIC_USE_AGENT_STORE") != "True") return port;
  } else if (launcher == Launcher::Torchrun) {
    return 0;
  }
  return port_of_job(variable);
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
  const char* const text = std::getenv(name.c_str());
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

void require_meeting_place(const Launch& launch) {
  if (launch.address.empty()) {
    throw InputError(
        "environment variable MASTER_ADDR",
        "the address of rank 0, where the " + std::to_string(launch.ranks) + " ranks meet",
        "nothing");
  }
  if (launch.port == 0) {
    throw InputError("environment variable MASTER_PORT", "a free port of rank 0's machine",
                     "nothing");
  }
}

std::string first_host(const std::string& node_list) {
  const std::size_t open = node_list.find('[');
  const std::size_t comma = node_list.find(',');
  if (open == std::string::npos || (comma != std::string::npos && comma < open)) {
    return node_list.substr(0, comma);
  }
  const std::size_t end = node_list.find_first_of(",-]", open);
  if (end == std::string::npos) return node_list.substr(0, open);
  const std::size_t close = node_list.find(']', open);
  const std::size_t after = node_list.find(',', close == std::string::npos ? open : close);
  const std::string suffix =
      close == std::string::npos
          ? ""
          : node_list.substr(close + 1,
                             after == std::string::npos ? std::string::npos : after - close - 1);
  return node_list.substr(0, open) + node_list.substr(open + 1, end - open - 1) + suffix;
}

std::optional<Launch> launch_from(const Variable& variable) {
  for (const Names& names : kLaunchers) {
    const auto rank = variable(names.rank), ranks = variable(names.ranks);
    if (!rank || !ranks) continue;
    Launch out;
    out.ranks = number(names.ranks, *ranks, 1, 1 << 20);
    out.rank = number(names.rank, *rank, 0, out.ranks - 1);
    if (out.ranks == 1) continue;
    out.launcher = names.launcher;
    if (const auto local = variable(names.local_rank)) {
      out.local_rank = number(names.local_rank, *local, 0, 1 << 16);
    }
    out.address = address_of(names, *ranks, variable);
    out.port = port_of(names.launcher, variable);
    return out;
  }
  return std::nullopt;
}

}  // namespace meshplan::runtime
