// A GPU engine of threads, put under the real command in place of the plug-in: devices with the
// names and links that $MESHPLAN_PLAYED says, as "2|NVIDIA H200|switch:18".
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>

#include "runtime/device/engine.h"
#include "tests/runtime/execute/stream_device.h"

namespace meshplan::runtime {
namespace {

struct Played {
  int count = 0;
  std::string name;
  std::string links;  ///< "switch:18", "pair:4", "none", "unknown"
};

Played played() {
  const char* const text = std::getenv("MESHPLAN_PLAYED");
  std::istringstream stream(text == nullptr ? "" : text);
  Played out;
  std::string count;
  std::getline(stream, count, '|');
  std::getline(stream, out.name, '|');
  std::getline(stream, out.links, '|');
  out.count = count.empty() ? 0 : std::stoi(count);
  return out;
}

class PlayedEngine final : public Engine {
 public:
  [[nodiscard]] std::string description() const override { return "threads"; }
  [[nodiscard]] std::vector<DeviceFacts> devices() const override {
    std::vector<DeviceFacts> out;
    for (int i = 0; i < played_.count; ++i) {
      DeviceFacts facts;
      facts.ordinal = i;
      facts.name = played_.name;
      facts.compute_capability = 90;
      facts.memory = {std::int64_t{1} << 32};
      out.push_back(facts);
    }
    return out;
  }
  [[nodiscard]] DeviceLinks links(int ordinal) const override {
    DeviceLinks out;
    if (played_.links == "unknown") return out;
    out.switch_nvlinks = 0;
    const std::size_t colon = played_.links.find(':');
    const int count = colon == std::string::npos ? 0 : std::stoi(played_.links.substr(colon + 1));
    if (played_.links.starts_with("switch")) out.switch_nvlinks = count;
    if (played_.links.starts_with("pair")) out.peer_nvlinks[ordinal ^ 1] = count;
    return out;
  }
  [[nodiscard]] DeviceState state(int) const override { return {}; }
  profiles::Bytes free_memory(int) override { return {std::int64_t{1} << 32}; }
  [[nodiscard]] int multiprocessors_of_partition(int, int partitions) const override {
    return 128 / partitions;
  }
  std::unique_ptr<Device> open(Communicator& host, const SeatOptions& seat) override {
    if (seat.ordinal >= played_.count) throw EngineFailure("no such device");
    return std::make_unique<StreamDevice>(host);
  }

 private:
  Played played_ = played();
};

}  // namespace

Engine& load_engine() {
  static PlayedEngine engine;
  if (engine.devices().empty()) throw EngineMissing("no GPU engine: nothing is played");
  return engine;
}

Engine* find_engine(std::string&) { return played().count == 0 ? nullptr : &load_engine(); }

}  // namespace meshplan::runtime
