#pragma once
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "profiles/units.h"
#include "runtime/device/device.h"

namespace meshplan::runtime {

/// What the driver says of one GPU.
struct DeviceFacts {
  int ordinal = 0;  ///< in this process
  std::string name;
  int compute_capability = 0;  ///< 90: 9.0
  int multiprocessors = 0;
  profiles::Bytes memory;    ///< of the device
  profiles::Bytes l2_cache;  ///< shared by all multiprocessors
  bool green_contexts = false;
};

/// How a device is joined to the others of its machine, as far as driver and management library
/// say.
struct DeviceLinks {
  std::string pci_device;             ///< "0x2335"; empty: not told
  std::optional<int> switch_nvlinks;  ///< NVLinks to switches; unset: nobody tells of NVLinks
  std::map<int, int> peer_nvlinks;    ///< NVLinks by ordinal of the other device
  std::optional<profiles::BytesPerSecond> pcie;  ///< one direction, at its best
};

/// How a GPU is doing at this moment; unset: its management library is not there.
struct DeviceState {
  std::optional<double> sm_clock_hz, memory_clock_hz, most_sm_clock_hz;
  std::optional<double> watts, celsius;
};

/// How ranks sit on the devices of a process.
enum class Seating : std::uint8_t {
  OneEach,      ///< a device for every rank; NCCL between them
  Replay,       ///< any number of ranks on one device, one at a time, on one stream
  Alone,        ///< one rank of several, without the others: `host` is a Lone one
  Partitioned,  ///< 2, 4 or 8 ranks on one device, each on multiprocessors of its own
};

struct SeatOptions {
  Seating seating = Seating::OneEach;
  int ordinal = 0;     ///< the device
  int partitions = 1;  ///< Partitioned: how many, and which one
  int partition = 0;
  profiles::Seconds timeout{60};  ///< of a wait for the device or for a communicator to start
  /// Make a communicator of the library even for a group of one rank: for tests on one GPU.
  bool communicate_alone = false;
};

/// A source of devices that are not the host: a plug-in, loaded on demand (load_engine).
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  /// "CUDA 13.0, driver 13.0; cuBLASLt 13.0.2, cuDNN 9.19.0; NCCL 2.28.9"
  [[nodiscard]] virtual std::string description() const = 0;
  /// At least one. Starts none of them: a process may see more devices than it uses.
  [[nodiscard]] virtual std::vector<DeviceFacts> devices() const = 0;
  [[nodiscard]] virtual DeviceLinks links(int ordinal) const = 0;
  /// Memory that nobody holds, once the device has been started for this process.
  virtual profiles::Bytes free_memory(int ordinal) = 0;
  [[nodiscard]] virtual DeviceState state(int ordinal) const = 0;
  /// Multiprocessors of each of `partitions` equal parts of a device; throws profiles::InputError
  /// where it cannot be cut so.
  [[nodiscard]] virtual int multiprocessors_of_partition(int ordinal, int partitions) const = 0;

  /// The device of the rank that `host` seats, on the thread that will use it. `host`: the group of
  /// all ranks over memory of the host; it starts the groups over device memory, carries failures,
  /// and outlives the device. Collective.
  virtual std::unique_ptr<Device> open(Communicator& host, const SeatOptions& seat) = 0;
};

/// A device, its driver or a library failed: one line.
class EngineFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Why there is no engine: one line that names what is missing.
class EngineMissing : public EngineFailure {
 public:
  using EngineFailure::EngineFailure;
};

/// The GPU engine, loaded at the first call and kept. Throws EngineMissing without plug-in,
/// libraries, driver or device.
Engine& load_engine();

/// load_engine() where this machine may have GPUs; none where it has no driver, or what there is
/// cannot be used: then `why` says so.
Engine* find_engine(std::string& why);

/// The one symbol of the plug-in. Null, and the reason in `reason` (`size` bytes, ended by 0), when
/// it cannot start. Program and plug-in come from one build, so C++ types may cross.
using EngineEntry = Engine*(char* reason, std::size_t size);
inline constexpr const char* kEngineEntry = "meshplan_gpu_engine";
inline constexpr const char* kEnginePlugin = "meshplan_cuda.so";

}  // namespace meshplan::runtime
