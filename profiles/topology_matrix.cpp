#include "profiles/topology_matrix.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

constexpr std::size_t kMostColumns = 4096;
constexpr int kMostLinks = 18;  ///< of any GPU that is known

/// Cells that are no NVLink: the way through PCIe, from afar to near.
constexpr std::array<std::string_view, 10> kWays = {"X",   "SYS", "NODE", "PHB", "PXB",
                                                    "PIX", "SOC", "PSB",  "N/A", "C2C"};

/// `line` without the escape sequences that underline the header.
std::string plain(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\033') {
      out += line[i];
      continue;
    }
    while (i < line.size() && line[i] != 'm') ++i;
  }
  return out;
}

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

bool is_gpu(const std::string& name) {
  return name.size() > 3 && name.starts_with("GPU") &&
         std::all_of(name.begin() + 3, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& source) : source_(source) {
    std::istringstream in{std::string(text)};
    for (std::string line; std::getline(in, line);) lines_.push_back(plain(line));
  }

  Topology read() {
    read_header();
    read_rows();
    Topology out;
    out.source = source_;
    for (std::size_t i = 0; i < gpus_; ++i) {
      Topology::Gpu gpu;
      gpu.name = columns_[i];
      for (std::size_t j = 0; j < gpus_; ++j) {
        if (const int links = links_at(i, j); links > 0 && i != j) {
          gpu.peer_links[static_cast<int>(j)] = links;
        }
      }
      out.gpus.push_back(std::move(gpu));
    }
    recognise_switch(out);
    for (std::size_t c = gpus_; c < columns_.size(); ++c) {
      Topology::Nic nic;
      nic.name = columns_[c];
      for (std::size_t i = 0; i < gpus_; ++i) {
        nic.beside_gpu = nic.beside_gpu || cells_[i][c] == "PIX" || cells_[i][c] == "PXB";
      }
      out.nics.push_back(std::move(nic));
    }
    return out;
  }

 private:
  [[nodiscard]] std::string where(std::size_t line) const {
    return source_ + ":" + std::to_string(line + 1);
  }

  void read_header() {
    for (header_ = 0; header_ < lines_.size(); ++header_) {
      const auto names = words(lines_[header_]);
      if (names.empty() || names.front() != "GPU0") continue;
      for (const std::string& name : names) {
        if (name == "CPU" || name == "NUMA" || name == "GPU") break;
        columns_.push_back(name);
      }
      break;
    }
    if (columns_.empty()) {
      throw InputError(source_, "a line that begins with GPU0, as nvidia-smi topo -m prints",
                       "none");
    }
    if (columns_.size() > kMostColumns)
      throw InputError(where(header_), "at most 4096 columns", "more");
    while (gpus_ < columns_.size() && is_gpu(columns_[gpus_])) ++gpus_;
    for (std::size_t i = gpus_; i < columns_.size(); ++i) {
      if (is_gpu(columns_[i])) {
        throw InputError(where(header_), "GPUs before NICs", "'" + columns_[i] + "' behind a NIC");
      }
    }
    std::vector<std::string> sorted = columns_;
    std::sort(sorted.begin(), sorted.end());
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
        twice != sorted.end()) {
      throw InputError(where(header_), "each column once", "'" + *twice + "' twice");
    }
  }

  void read_rows() {
    cells_.resize(gpus_);
    for (std::size_t at = header_ + 1; at < lines_.size(); ++at) {
      const auto row = words(lines_[at]);
      if (row.empty()) continue;
      if (row.front() == "Legend:") break;
      const auto column = std::find(columns_.begin(), columns_.end(), row.front());
      const auto index = static_cast<std::size_t>(column - columns_.begin());
      if (index >= gpus_) continue;  // NICs say the same once more
      if (!cells_[index].empty())
        throw InputError(where(at), "one row of " + row.front(), "a second");
      if (row.size() < columns_.size() + 1) {
        throw InputError(where(at), std::to_string(columns_.size()) + " cells, one for each column",
                         std::to_string(row.size() - 1));
      }
      for (std::size_t c = 0; c < columns_.size(); ++c) {
        check(row[c + 1], at);
        cells_[index].push_back(row[c + 1]);
      }
    }
    for (std::size_t i = 0; i < gpus_; ++i) {
      if (cells_[i].empty()) throw InputError(source_, "a row of " + columns_[i], "none");
    }
    for (std::size_t i = 0; i < gpus_; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (cells_[i][j] == cells_[j][i]) continue;
        throw InputError(source_,
                         "the same between " + columns_[i] + " and " + columns_[j] + " both ways",
                         "'" + cells_[i][j] + "' and '" + cells_[j][i] + "'");
      }
    }
  }

  static int nvlinks(const std::string& cell) {
    if (!cell.starts_with("NV")) return 0;
    int links = 0;
    const auto [end, status] = std::from_chars(cell.data() + 2, cell.data() + cell.size(), links);
    if (status != std::errc{} || end != cell.data() + cell.size() || links < 1) return 0;
    return links;
  }
  [[nodiscard]] int links_at(std::size_t i, std::size_t j) const { return nvlinks(cells_[i][j]); }

  void check(const std::string& cell, std::size_t line) const {
    const int links = nvlinks(cell);
    if (links > 0 && links <= kMostLinks) return;
    if (std::find(kWays.begin(), kWays.end(), cell) != kWays.end()) return;
    throw InputError(where(line), "X, NV1 to NV18, PIX, PXB, PHB, NODE or SYS", "'" + cell + "'");
  }

  /// Links to all peers that are more than a GPU can have go to a switch, each once for all. A GPU
  /// has 6 (Volta), 12 (Ampere) or 18 links (Hopper and later); where NV18, NV12 or NV6 stands
  /// beside several peers, these are all that it has.
  static void recognise_switch(Topology& topology) {
    const std::size_t peers = topology.gpus.size() - 1;
    if (peers < 2) return;
    const auto& first = topology.gpus.front().peer_links;
    if (first.empty()) return;
    const int links = first.begin()->second;
    for (const Topology::Gpu& gpu : topology.gpus) {
      if (gpu.peer_links.size() != peers) return;
      for (const auto& [peer, count] : gpu.peer_links) {
        if (count != links) return;
      }
    }
    const auto together = static_cast<int>(peers) * links;
    const bool all_links = links == 6 || links == 12 || links == kMostLinks;
    if (together <= kMostLinks && !all_links) return;  // a mesh of direct links
    for (Topology::Gpu& gpu : topology.gpus) {
      gpu.peer_links.clear();
      gpu.switch_links = links;
    }
  }

  std::string source_;
  std::vector<std::string> lines_;
  std::size_t header_ = 0, gpus_ = 0;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> cells_;
};

}  // namespace

Topology read_topology_matrix(std::string_view text, const std::string& source) {
  return Reader(text, source).read();
}

}  // namespace meshplan::profiles
