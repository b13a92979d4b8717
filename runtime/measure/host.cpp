#include "runtime/measure/host.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace meshplan::runtime {
namespace {

using profiles::Bytes;

/// What follows "KEY:" in a file of such lines.
std::optional<std::string> line_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const std::size_t colon = line.find(':');
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && begin != std::string::npos) return line.substr(begin);
  }
  return std::nullopt;
}

std::optional<std::int64_t> whole_number_in(const char* path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

/// A line of /proc/meminfo, in KiB there.
std::optional<Bytes> memory_line(const std::string& key) {
  const auto text = line_of("/proc/meminfo", key);
  std::int64_t kib = 0;
  if (!text || !(std::istringstream(*text) >> kib)) return std::nullopt;
  return Bytes{kib * 1024};
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

}  // namespace

Host this_host() {
  Host host;
  host.name = host_name();
  host.processor = line_of("/proc/cpuinfo", "model name").value_or("unknown processor");
  host.cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const Bytes whole{std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE)};
  host.memory = whole;
  host.available = memory_line("MemAvailable").value_or(whole);
  // A container's own limit (control groups, version 2); "max" reads as no number.
  if (const auto limit = whole_number_in("/sys/fs/cgroup/memory.max")) {
    const std::int64_t used = whole_number_in("/sys/fs/cgroup/memory.current").value_or(0);
    host.memory = std::min(host.memory, Bytes{*limit});
    host.available = std::min(host.available, Bytes{std::max<std::int64_t>(0, *limit - used)});
  }
  constexpr std::int64_t kUsual = 1 << 20;
  const std::int64_t cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  host.core_cache = {cache > 0 ? cache : kUsual};
  return host;
}

}  // namespace meshplan::runtime
