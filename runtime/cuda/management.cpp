#include "runtime/cuda/management.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <array>

namespace meshplan::runtime::cuda {
namespace {

/// The few functions that are used of libnvidia-ml, which comes with the driver and has no link
/// library here. Constants and signatures: NVML API reference.
class Management {
 public:
  using Handle = void*;
  struct Memory {
    unsigned long long total, free, used;
  };

  Management() {
    library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) return;
    int (*start)() = nullptr;
    there_ = find("nvmlInit_v2", start) && find("nvmlDeviceGetHandleByPciBusId_v2", by_bus_id_) &&
             find("nvmlDeviceGetClockInfo", clock_) && find("nvmlDeviceGetMaxClockInfo", most_) &&
             find("nvmlDeviceGetPowerUsage", power_) &&
             find("nvmlDeviceGetTemperature", temperature_) &&
             find("nvmlDeviceGetMemoryInfo", memory_) && start() == 0;
  }

  [[nodiscard]] std::optional<Handle> device(const char* pci_bus_id) const {
    Handle handle = nullptr;
    if (!there_ || by_bus_id_(pci_bus_id, &handle) != 0) return std::nullopt;
    return handle;
  }
  static constexpr int kSm = 1, kMemory = 2;  // NVML_CLOCK_SM, NVML_CLOCK_MEM
  [[nodiscard]] std::optional<double> clock_hz(Handle device, int which) const {
    return read(clock_, device, which, 1e6);
  }
  [[nodiscard]] std::optional<double> most_clock_hz(Handle device, int which) const {
    return read(most_, device, which, 1e6);
  }
  [[nodiscard]] std::optional<double> watts(Handle device) const {
    unsigned milliwatts = 0;
    if (power_(device, &milliwatts) != 0) return std::nullopt;
    return 1e-3 * milliwatts;
  }
  [[nodiscard]] std::optional<double> celsius(Handle device) const {
    constexpr int kGpu = 0;  // NVML_TEMPERATURE_GPU
    return read(temperature_, device, kGpu, 1);
  }
  [[nodiscard]] std::optional<profiles::Bytes> used(Handle device) const {
    Memory memory{};
    if (memory_(device, &memory) != 0) return std::nullopt;
    return profiles::Bytes{static_cast<std::int64_t>(memory.used)};
  }

 private:
  using Reading = int (*)(Handle, int, unsigned*);

  template <class Function>
  bool find(const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    return function != nullptr;
  }
  static std::optional<double> read(Reading reading, Handle device, int which, double unit) {
    unsigned value = 0;
    if (reading(device, which, &value) != 0) return std::nullopt;
    return unit * value;
  }

  void* library_ = nullptr;
  bool there_ = false;
  int (*by_bus_id_)(const char*, Handle*) = nullptr;
  Reading clock_ = nullptr, most_ = nullptr, temperature_ = nullptr;
  int (*power_)(Handle, unsigned*) = nullptr;
  int (*memory_)(Handle, Memory*) = nullptr;
};

const Management& management() {
  static const Management found;
  return found;
}

}  // namespace

DeviceState state_of(int ordinal) {
  std::array<char, 32> bus_id{};
  if (cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), ordinal) !=
      cudaSuccess) {
    return {};
  }
  const Management& nvml = management();
  const auto device = nvml.device(bus_id.data());
  if (!device) return {};
  return {nvml.clock_hz(*device, Management::kSm), nvml.clock_hz(*device, Management::kMemory),
          nvml.most_clock_hz(*device, Management::kSm), nvml.watts(*device), nvml.celsius(*device)};
}

std::optional<profiles::Bytes> used_memory(const char* pci_bus_id) {
  const auto device = management().device(pci_bus_id);
  return device ? management().used(*device) : std::nullopt;
}

}  // namespace meshplan::runtime::cuda
