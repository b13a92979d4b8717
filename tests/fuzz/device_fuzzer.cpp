// Device files: what is read can be written and read back the same.
#include <nlohmann/json.hpp>

#include "profiles/device_json.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "device.json");
    const std::string written = profiles::device_json(profiles::read_device(document)).dump();
    std::string again;
    try {
      const auto reread = profiles::JsonNode::parse(written, "written");
      again = profiles::device_json(profiles::read_device(reread)).dump();
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a device that was written is accepted");
    }
    fuzz::require(again == written, "a device reads back as it was written");
  });
}
