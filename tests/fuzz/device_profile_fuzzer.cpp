// Device profiles: what is read can be written and read back the same.
#include <nlohmann/json.hpp>

#include "profiles/device_json.h"
#include "profiles/device_profile_json.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::Device device = profiles::load_device("a100", profiles::DataFiles());
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "profile.json");
    // A borrowed profile is written under the name of its borrower.
    if (profiles::profile_device(document) != device.id) return;
    const std::string written =
        profiles::profile_json(profiles::read_profile(document, device)).dump();
    std::string again;
    try {
      const auto reread = profiles::JsonNode::parse(written, "written");
      again = profiles::profile_json(profiles::read_profile(reread, device)).dump();
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a profile that was written is accepted");
    }
    fuzz::require(again == written, "a profile reads back as it was written");
  });
}
