#include "cli/launched_run.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cli/command.h"
#include "profiles/input_error.h"
#include "runtime/communicator/mpi.h"
#include "runtime/communicator/tcp.h"
#include "runtime/device/cpu_device.h"
#include "runtime/execute/execute.h"
#include "runtime/measure/measure_engine.h"

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

/// While it lives SIGTERM waits up to five seconds: launchers send it to all ranks as soon as one
/// has died, and the ranks say first how far each came. Made before the threads that shall not take
/// it; what follows it is the end of the process.
class HeldTermination {
 public:
  HeldTermination() {
    sigemptyset(&end_);
    sigaddset(&end_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &end_, nullptr);
    thread_ = std::thread([this] { watch(); });
  }
  ~HeldTermination() {
    over_ = true;
    thread_.join();
  }
  HeldTermination(const HeldTermination&) = delete;
  HeldTermination& operator=(const HeldTermination&) = delete;

 private:
  void watch() {
    constexpr timespec kGlance{.tv_sec = 0, .tv_nsec = 50'000'000};
    while (sigtimedwait(&end_, nullptr, &kGlance) != SIGTERM) {
      if (over_) return;
    }
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < std::chrono::seconds(5)) {
      if (over_) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    pthread_sigmask(SIG_UNBLOCK, &end_, nullptr);
    raise(SIGTERM);
  }

  sigset_t end_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// Whether ranks agree that all can run; else the first that cannot has said why.
bool all_can_run(runtime::Communicator& host, const std::optional<std::string>& obstacle) {
  const float mine = obstacle ? 1 : 0;
  std::vector<float> all(static_cast<std::size_t>(host.size()));
  host.all_gather(std::span(&mine, 1), all);
  for (int r = 0; r < host.size(); ++r) {
    if (all[static_cast<std::size_t>(r)] == 0) continue;
    if (r == host.rank()) say(*obstacle);
    return false;
  }
  return true;
}

std::optional<runtime::Measured> measured_by(const LaunchedRank& rank,
                                             const runtime::Training& training,
                                             const runtime::MeasureOptions& options,
                                             runtime::Communicator& host, const char* carrier) {
  if (rank.engine == nullptr) {
    runtime::CpuDevice device(host);
    const std::string words = device.description() + ", ranks over " + carrier;
    return measure_launched(training, options, host, device, words);
  }
  runtime::SeatOptions seat;
  seat.seating = runtime::Seating::OneEach;
  seat.ordinal = rank.ordinal;
  seat.timeout = options.timeout;
  const auto device = rank.engine->open(host, seat);
  return measure_launched(training, options, host, *device,
                          in_words(*rank.engine) + ", a process a device");
}

}  // namespace

void say_failure(const std::exception& failure) { say(failure.what()); }

int refuse_as_one(const runtime::Launch& launched, const std::string& message, int code) {
  if (launched.rank == 0 || !ended_by_launcher()) say(message);
  return code;
}

int device_of(const runtime::Launch& launched, int devices) {
  if (devices == 1) return 0;
  const std::string where = "local rank of rank " + std::to_string(launched.rank);
  const std::string wanted = "a number below the " + std::to_string(devices) + " GPUs it sees";
  if (!launched.local_rank) throw profiles::InputError(where, wanted + " (LOCAL_RANK)", "none");
  if (*launched.local_rank >= devices) {
    throw profiles::InputError(where, wanted, std::to_string(*launched.local_rank));
  }
  return *launched.local_rank;
}

int run_launched(const LaunchedRank& rank, const runtime::Training& training,
                 const runtime::MeasureOptions& options,
                 const std::function<int(runtime::Measured)>& answer) {
  const runtime::Launch& launched = rank.launched;
  const int devices = training.layout.devices();
  if (devices != launched.ranks) {
    return refuse_as_one(launched,
                         "the plan is for " + std::to_string(devices) +
                             " ranks, but the launcher has started " +
                             std::to_string(launched.ranks),
                         kAnswerIsNo);
  }
  int code = kDone;
  const auto run = [&](runtime::Communicator& host, const char* carrier) {
    if (host.size() != devices) {
      throw std::runtime_error("MPI knows of " + std::to_string(host.size()) + " of the " +
                               std::to_string(devices) + " ranks: start them with mpirun or srun");
    }
    if (!all_can_run(host, rank.obstacle())) {
      code = kAnswerIsNo;
      return;
    }
    std::optional<runtime::Measured> measured = measured_by(rank, training, options, host, carrier);
    float said = 0;  // the code, small enough to be exact
    if (measured) said = static_cast<float>(answer(std::move(*measured)));
    host.broadcast(std::span(&said, 1), 0);
    code = static_cast<int>(said);
  };
  const bool by_mpi = rank.engine == nullptr && launched.launcher != runtime::Launcher::Torchrun;
  const auto plugin = by_mpi ? runtime::find_plugin(kPlugin) : std::nullopt;
  if (plugin) {
    const runtime::MpiOptions mpi{.timeout = options.timeout,
                                  .in_words = instruction_in_words(training),
                                  .tell = say_failure};
    runtime::run_over_mpi(*plugin, mpi, [&](runtime::Communicator& host) { run(host, "MPI"); });
    return code;
  }
  const HeldTermination held;
  const runtime::TcpOptions tcp{
      .timeout = options.timeout, .in_words = instruction_in_words(training), .tell = say_failure};
  run_over_tcp(launched, tcp, [&](runtime::Communicator& host) { run(host, "TCP"); });
  return code;
}

}  // namespace meshplan::cli
