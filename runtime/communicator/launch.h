#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace meshplan::runtime {

/// Whose variables tell of the ranks.
enum class Launcher : std::uint8_t { Torchrun, OpenMpi, Pmi, Slurm };

/// One rank of several that a launcher started, as the environment tells.
struct Launch {
  int rank = 0, ranks = 1;
  std::optional<int> local_rank;  ///< on this machine; its device
  std::string address;            ///< where rank 0 waits for the others; empty: not told
  int port = 0;                   ///< 0: not told
  Launcher launcher = Launcher::Torchrun;
  friend bool operator==(const Launch&, const Launch&) = default;
};

/// Reads a variable of the environment; none if it is not set.
using Variable = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> environment_variable(const std::string& name);

/// Which rank this process is, from the variables of torchrun and whoever sets the same (RANK,
/// WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), of Open MPI (OMPI_COMM_WORLD_*), PMI (MPICH,
/// Intel MPI) or a Slurm step; none where no launcher is at work, or it started one process.
///
/// Rank 0's address: MASTER_ADDR, else the first host of SLURM_STEP_NODELIST, else this machine
/// where the launcher says that all ranks are here.
/// The port: MASTER_PORT, else one that follows from the job, the same for all its processes; also
/// below torchrun's agent, which listens at MASTER_PORT itself (TORCHELASTIC_USE_AGENT_STORE).
/// Throws InputError, naming the variable, for a number that is none or does not fit.
std::optional<Launch> launch_from(const Variable& variable);

/// Throws InputError, naming the variable, where `launch` does not tell where ranks meet.
void require_meeting_place(const Launch& launch);

/// The first host of a Slurm list: "gpu[003-007,12],login1" -> "gpu003".
std::string first_host(const std::string& node_list);

}  // namespace meshplan::runtime
