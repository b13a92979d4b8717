#include "cli/launched_run.h"

#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "cli/command.h"
#include "runtime/communicator/mpi.h"
#include "runtime/execute/execute.h"

namespace meshplan::cli {
namespace {

constexpr const char* kPlugin = "meshplan_mpi.so";

void say(const std::string& message) {
  std::string line = message;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fprintf(stderr, "meshplan: %s\n", line.c_str());
  std::fflush(stderr);
}

/// Waits up to two seconds for the launcher to end this rank. Open MPI sends SIGCONT at once, and
/// SIGTERM a second later.
bool ended_by_launcher() {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGCONT);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  const timespec two_seconds{.tv_sec = 2, .tv_nsec = 0};
  return sigtimedwait(&end, nullptr, &two_seconds) > 0;
}

}  // namespace

void say_failure(const std::exception& failure) { say(failure.what()); }

int refuse_as_one(const runtime::Launch& launched, const std::string& message, int code) {
  if (launched.rank == 0 || !ended_by_launcher()) say(message);
  return code;
}

int run_launched(const runtime::Launch& launched, const runtime::Training& training,
                 const runtime::MeasureOptions& options,
                 const std::function<int(runtime::Measured)>& answer) {
  const int devices = training.layout.devices();
  if (devices != launched.ranks) {
    return refuse_as_one(launched,
                         "the plan is for " + std::to_string(devices) +
                             " ranks, but the launcher has started " +
                             std::to_string(launched.ranks),
                         kAnswerIsNo);
  }
  const std::optional<std::string> plugin = runtime::find_plugin(kPlugin);
  if (!plugin) {
    return refuse_as_one(launched,
                         std::string("started as one of several ranks, but this build has no ") +
                             kPlugin + " (it was built without MPI)",
                         kDeviceFailure);
  }
  int code = kDone;
  const runtime::MpiOptions mpi{
      .timeout = options.timeout, .in_words = instruction_in_words(training), .tell = say_failure};
  runtime::run_over_mpi(*plugin, mpi, [&](runtime::Communicator& world) {
    if (world.size() != devices) {
      throw std::runtime_error("MPI knows of " + std::to_string(world.size()) + " of the " +
                               std::to_string(devices) + " ranks: start them with mpirun or srun");
    }
    std::optional<runtime::Measured> measured = runtime::measure_launched(training, options, world);
    float said = 0;  // the code, small enough to be exact
    if (measured) said = static_cast<float>(answer(std::move(*measured)));
    world.broadcast(std::span(&said, 1), 0);
    code = static_cast<int>(said);
  });
  return code;
}

}  // namespace meshplan::cli
