#include "runtime/device/local_topology.h"

namespace meshplan::runtime {

profiles::Topology topology_of(const Engine& engine) {
  profiles::Topology out;
  out.source = "localhost";
  for (const DeviceFacts& device : engine.devices()) {
    const DeviceLinks links = engine.links(device.ordinal);
    profiles::Topology::Gpu gpu;
    gpu.name = "GPU" + std::to_string(device.ordinal);
    gpu.product = device.name;
    gpu.pci_device = links.pci_device;
    gpu.compute_capability = device.compute_capability;
    gpu.switch_links = links.switch_nvlinks.value_or(0);
    gpu.peer_links = links.peer_nvlinks;
    gpu.pcie = links.pcie;
    out.links_stated = out.links_stated && links.switch_nvlinks.has_value();
    out.gpus.push_back(gpu);
  }
  return out;
}

}  // namespace meshplan::runtime
