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
  const char *rank, *ranks, *local_rank;
};
/// In the order in which they are asked: torchrun may itself run below a Slurm step.
constexpr std::array<Names, 4> kLaunchers = {{
    {"RANK", "WORLD_SIZE", "LOCAL_RANK"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
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
  for (const char* name : {"SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE"}) {
    for (const char c : variable(name).value_or("")) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
  }
  constexpr std::uint32_t kFirst = 20000, kPorts = 10000;  // below the ports given out on demand
  return static_cast<int>(kFirst + hash % kPorts);
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
  const char* const text = std::getenv(name.c_str());
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
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
    const auto local = variable(names.local_rank);
    // Without it: consecutive ranks share a machine, one process a device there is not told.
    out.local_rank = local ? number(names.local_rank, *local, 0, 1 << 16) : 0;
    const auto nodes = variable("SLURM_STEP_NODELIST");
    out.address = variable("MASTER_ADDR").value_or(nodes ? first_host(*nodes) : "127.0.0.1");
    const auto port = variable("MASTER_PORT");
    out.port = port ? number("MASTER_PORT", *port, 1, 65535) : port_of_job(variable);
    return out;
  }
  return std::nullopt;
}

}  // namespace meshplan::runtime
