#include "runtime/cuda/management.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <array>
#include <cmath>
#include <cstdio>

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
  /// nvmlPciInfo_t
  struct Pci {
    std::array<char, 16> legacy_bus_id;
    unsigned domain, bus, device, device_and_vendor, subsystem;
    std::array<char, 32> bus_id;
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
    // What only tells of links may be missing.
    find("nvmlDeviceGetPciInfo_v3", pci_);
    find("nvmlDeviceGetNvLinkState", link_state_);
    find("nvmlDeviceGetNvLinkRemoteDeviceType", link_end_);
    find("nvmlDeviceGetNvLinkRemotePciInfo_v2", link_pci_);
    find("nvmlDeviceGetMaxPcieLinkGeneration", pcie_generation_);
    find("nvmlDeviceGetMaxPcieLinkWidth", pcie_width_);
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

  [[nodiscard]] std::optional<Pci> pci(Handle device) const {
    Pci info{};
    if (pci_ == nullptr || pci_(device, &info) != 0) return std::nullopt;
    return info;
  }
  /// One direction.
  [[nodiscard]] std::optional<profiles::BytesPerSecond> pcie(Handle device) const {
    unsigned generation = 0, lanes = 0;
    if (pcie_generation_ == nullptr || pcie_width_ == nullptr ||
        pcie_generation_(device, &generation) != 0 || pcie_width_(device, &lanes) != 0 ||
        generation == 0) {
      return std::nullopt;
    }
    // 1 GB/s a lane of the third generation, twice that of each after it.
    return profiles::BytesPerSecond{1e9 * lanes * std::exp2(static_cast<int>(generation) - 3)};
  }
  /// Adds up the links of `device` that are up; `ordinal_at` tells the device at the other end.
  template <class OrdinalAt>
  void count_links(Handle device, DeviceLinks& out, const OrdinalAt& ordinal_at) const {
    if (link_state_ == nullptr) return;
    constexpr unsigned kMostLinks = 36;
    constexpr int kNotSupported = 3, kSwitch = 2, kGpu = 0;
    out.switch_nvlinks = 0;
    for (unsigned link = 0; link < kMostLinks; ++link) {
      unsigned up = 0;
      const int status = link_state_(device, link, &up);
      if (status == kNotSupported && link == 0) return;  // a device without NVLink
      if (status != 0) return;                           // no more of them
      if (up == 0) continue;
      Pci end{};
      const bool known = link_pci_ != nullptr && link_pci_(device, link, &end) == 0;
      const std::optional<int> peer = known ? ordinal_at(end) : std::nullopt;
      unsigned type = 0;
      const bool typed = link_end_ != nullptr && link_end_(device, link, &type) == 0;
      if (peer) {
        ++out.peer_nvlinks[*peer];
      } else if (typed ? type == kSwitch : known) {
        ++*out.switch_nvlinks;
      } else if (!typed || type != kGpu) {
        out.switch_nvlinks.reset();  // up, and nobody says to where
        return;
      }  // else to a GPU that this process does not see
    }
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
  int (*pci_)(Handle, Pci*) = nullptr;
  int (*link_state_)(Handle, unsigned, unsigned*) = nullptr;
  int (*link_end_)(Handle, unsigned, unsigned*) = nullptr;
  int (*link_pci_)(Handle, unsigned, Pci*) = nullptr;
  int (*pcie_generation_)(Handle, unsigned*) = nullptr;
  int (*pcie_width_)(Handle, unsigned*) = nullptr;
};

const Management& management() {
  static const Management found;
  return found;
}

std::optional<Management::Handle> handle_of(int ordinal) {
  std::array<char, 32> bus_id{};
  if (cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), ordinal) !=
      cudaSuccess) {
    return std::nullopt;
  }
  return management().device(bus_id.data());
}

}  // namespace

DeviceLinks links_of(int ordinal, int count) {
  const Management& nvml = management();
  const auto device = handle_of(ordinal);
  if (!device) return {};
  DeviceLinks out;
  if (const auto pci = nvml.pci(*device)) {
    std::array<char, 8> text{};
    std::snprintf(text.data(), text.size(), "0x%04x", pci->device_and_vendor >> 16);
    out.pci_device = text.data();
  }
  out.pcie = nvml.pcie(*device);
  nvml.count_links(*device, out, [&](const Management::Pci& end) -> std::optional<int> {
    for (int other = 0; other < count; ++other) {
      const auto handle = handle_of(other);
      const auto pci = handle ? nvml.pci(*handle) : std::nullopt;
      if (pci && pci->domain == end.domain && pci->bus == end.bus && pci->device == end.device) {
        return other;
      }
    }
    return std::nullopt;
  });
  return out;
}

DeviceState state_of(int ordinal) {
  const Management& nvml = management();
  const auto device = handle_of(ordinal);
  if (!device) return {};
  return {nvml.clock_hz(*device, Management::kSm), nvml.clock_hz(*device, Management::kMemory),
          nvml.most_clock_hz(*device, Management::kSm), nvml.watts(*device), nvml.celsius(*device)};
}

std::optional<profiles::Bytes> used_memory(const char* pci_bus_id) {
  const auto device = management().device(pci_bus_id);
  return device ? management().used(*device) : std::nullopt;
}

}  // namespace meshplan::runtime::cuda
