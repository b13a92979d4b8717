#pragma once
#include <string>
#include <string_view>

#include "profiles/topology.h"

namespace meshplan::profiles {

/// Reads what NCCL writes to NCCL_TOPO_DUMP_FILE for one server:
///
///   <system version="1">
///     <cpu host_hash="..." numaid="0" arch="x86_64" vendor="GenuineIntel">
///       <pci busid="0000:16:00.0" class="0x060400" ...>                      a PCIe switch
///         <pci busid="0000:18:00.0" class="0x030200" device="0x2330" link_speed="32.0 GT/s PCIe"
///              link_width="16">
///           <gpu dev="0" sm="90" rank="0" gdr="1">
///             <nvlink target="0000:07:00.0" count="5" tclass="0x068000"/>    to an NVSwitch
///         <pci busid="0000:19:00.0" class="0x020700" ...>
///           <nic><net name="mlx5_0" speed="400000" .../></nic>               Mb/s
///
/// A link of class 0x03.... goes to the GPU of that bus id, every other to a switch. A NIC that is
/// listed several times counts once. `source` is how messages name the file. Throws InputError with
/// line and element.
Topology read_topology_xml(std::string_view text, const std::string& source);

}  // namespace meshplan::profiles
