#include "profiles/topology_xml.h"

#include <algorithm>
#include <charconv>
#include <pugixml.hpp>
#include <set>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

constexpr int kDeepest = 64;
constexpr std::size_t kMostGpus = 1024;
constexpr int kMostLinks = 1000;
constexpr double kMostMegabits = 1e8;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& source) : text_(text), source_(source) {
    out_.source = source;
  }

  Topology read() {
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(text_.data(), text_.size());
    if (!parsed) {
      throw InputError(source_ + ":" + std::to_string(line_of(parsed.offset)), "XML",
                       parsed.description());
    }
    const pugi::xml_node system = document.child("system");
    if (!system) {
      throw InputError(source_, "a <system> element, as NCCL_TOPO_DUMP_FILE has",
                       document.first_child()
                           ? std::string("<") + document.first_child().name() + ">"
                           : "nothing");
    }
    for (const pugi::xml_node cpu : system.children("cpu")) read_cpu(cpu);
    join_peers();
    return std::move(out_);
  }

 private:
  struct PeerLink {
    std::size_t gpu;
    std::string target;
    int count;
  };

  [[nodiscard]] long line_of(std::ptrdiff_t offset) const {
    const auto end = text_.begin() + std::clamp<std::ptrdiff_t>(
                                         offset, 0, static_cast<std::ptrdiff_t>(text_.size()));
    return 1 + std::count(text_.begin(), end, '\n');
  }
  [[nodiscard]] std::string where(const pugi::xml_node& node) const {
    return source_ + ":" + std::to_string(line_of(node.offset_debug())) + " <" + node.name() + ">";
  }

  [[nodiscard]] std::string text_of(const pugi::xml_node& node, const char* key) const {
    const pugi::xml_attribute attribute = node.attribute(key);
    if (!attribute)
      throw InputError(where(node), std::string("the attribute '") + key + "'", "none");
    return attribute.value();
  }
  /// The number that the attribute begins with: "32.0" of "32.0 GT/s PCIe".
  [[nodiscard]] double number_of(const pugi::xml_node& node, const char* key, double least,
                                 double most) const {
    const std::string text = text_of(node, key);
    double value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool ends = end == text.data() + text.size() || *end == ' ';
    if (status != std::errc{} || !ends || !(value >= least && value <= most)) {
      throw InputError(where(node),
                       std::string("a number in '") + key + "', at least " +
                           std::to_string(static_cast<long>(least)) + " and at most " +
                           std::to_string(static_cast<long>(most)),
                       "'" + text + "'");
    }
    return value;
  }

  void read_cpu(const pugi::xml_node& cpu) {
    const std::string host = cpu.attribute("host_hash").value();
    if (!host_) host_ = host;
    if (*host_ != host) {
      throw InputError(where(cpu), "the topology of one server", "cpus of several (host_hash)");
    }
    const std::string arch = cpu.attribute("arch").value();
    const std::string vendor = cpu.attribute("vendor").value();
    if (vendor == "GenuineIntel") out_.host_cpu = "intel";
    if (vendor == "AuthenticAMD") out_.host_cpu = "amd";
    if (arch == "arm64" || arch == "aarch64") out_.host_cpu = "arm";
    for (const pugi::xml_node child : cpu.children()) {
      const std::string_view kind = child.name();
      if (kind == "nic") read_nic(child, "", false);
      if (kind == "pci") {
        // What hangs on one root port shares its switch.
        const std::size_t nics = out_.nics.size();
        const std::size_t gpus = out_.gpus.size();
        read_pci(child, 1);
        const bool switched = is_switch(child);
        if (!switched || out_.gpus.size() == gpus) continue;
        for (std::size_t i = nics; i < out_.nics.size(); ++i) out_.nics[i].beside_gpu = true;
      }
    }
  }

  static bool is_switch(const pugi::xml_node& pci) {
    return std::string_view(pci.attribute("class").value()).starts_with("0x0604");
  }

  void read_pci(const pugi::xml_node& pci, int depth) {
    if (depth > kDeepest) throw InputError(where(pci), "at most 64 levels of <pci>", "more");
    for (const pugi::xml_node child : pci.children()) {
      const std::string_view kind = child.name();
      if (kind == "pci") read_pci(child, depth + 1);
      if (kind == "gpu") read_gpu(child, pci);
      if (kind == "nic") read_nic(child, pci.attribute("class").value(), true);
    }
  }

  void read_gpu(const pugi::xml_node& node, const pugi::xml_node& pci) {
    const std::string bus = lower(text_of(pci, "busid"));
    // Several ranks on one GPU are listed as several of it.
    if (!buses_.insert(bus).second) return;
    if (out_.gpus.size() == kMostGpus) throw InputError(where(node), "at most 1024 GPUs", "more");
    Topology::Gpu gpu;
    gpu.name = bus;
    gpu.pci_device = lower(pci.attribute("device").value());
    gpu.compute_capability = static_cast<int>(number_of(node, "sm", 1, 999));
    if (pci.attribute("link_speed") && pci.attribute("link_width")) {
      // GT/s of every lane; encoding left aside, as data sheets do. Virtual machines state width 0.
      const double transfers = number_of(pci, "link_speed", 0, 1000);
      const double lanes = number_of(pci, "link_width", 0, 64);
      if (transfers * lanes > 0) gpu.pcie = BytesPerSecond{transfers * 1e9 * lanes / 8};
    }
    for (const pugi::xml_node link : node.children("nvlink")) {
      const int count = static_cast<int>(number_of(link, "count", 1, kMostLinks));
      const std::string_view kind = link.attribute("tclass").value();
      if (kind.starts_with("0x03")) {
        peers_.push_back({out_.gpus.size(), lower(text_of(link, "target")), count});
      } else {
        gpu.switch_links += count;
      }
    }
    out_.gpus.push_back(std::move(gpu));
  }

  void read_nic(const pugi::xml_node& nic, std::string_view pci_class, bool on_pci) {
    for (const pugi::xml_node net : nic.children("net")) {
      Topology::Nic out;
      out.name = text_of(net, "name");
      if (!nic_names_.insert(out.name).second) continue;
      out.bandwidth = BytesPerSecond{number_of(net, "speed", 1, kMostMegabits) * 1e6 / 8};
      out.kind = kind_of(out.name, pci_class, on_pci);
      out_.nics.push_back(std::move(out));
    }
  }

  /// By the PCI class (0x0207 InfiniBand, 0x0200 Ethernet) and how its driver names it.
  static InterNodeKind kind_of(const std::string& name, std::string_view pci_class, bool on_pci) {
    if (name.find("efa") != std::string::npos || name.starts_with("rdmap"))
      return InterNodeKind::Efa;
    if (name.starts_with("cxi") || name.starts_with("hsn")) return InterNodeKind::Slingshot;
    if (pci_class.starts_with("0x0207")) return InterNodeKind::Infiniband;
    const bool verbs = name.starts_with("mlx") || name.starts_with("roce") ||
                       name.starts_with("bnxt_re") || name.starts_with("irdma");
    if (on_pci && verbs) return InterNodeKind::Roce;
    return InterNodeKind::Ethernet;
  }

  /// Links to GPUs that the file does not list (hidden from the job) are left out.
  void join_peers() {
    for (const PeerLink& link : peers_) {
      const auto target = std::find_if(out_.gpus.begin(), out_.gpus.end(),
                                       [&](const auto& gpu) { return gpu.name == link.target; });
      if (target == out_.gpus.end()) continue;
      const auto index = static_cast<int>(target - out_.gpus.begin());
      const auto self = static_cast<int>(link.gpu);
      if (index == self) continue;
      out_.gpus[link.gpu].peer_links[index] += link.count;
    }
    for (std::size_t i = 0; i < out_.gpus.size(); ++i) {
      for (const auto& [peer, links] : out_.gpus[i].peer_links) {
        const auto& back = out_.gpus[static_cast<std::size_t>(peer)].peer_links;
        const auto found = back.find(static_cast<int>(i));
        if (found == back.end() || found->second != links) {
          throw InputError(source_, "NVLinks that both GPUs state alike",
                           out_.gpus[i].name + " and " +
                               out_.gpus[static_cast<std::size_t>(peer)].name + " do not");
        }
      }
    }
  }

  std::string_view text_;
  std::string source_;
  Topology out_;
  std::optional<std::string> host_;
  std::set<std::string> buses_, nic_names_;
  std::vector<PeerLink> peers_;
};

}  // namespace

Topology read_topology_xml(std::string_view text, const std::string& source) {
  return Reader(text, source).read();
}

}  // namespace meshplan::profiles
