// Measurements: what was read and written reads back as the same text.
#include "runtime/measure/measurement_json.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "measurement.json");
    const std::string written = runtime::measurement_text(runtime::read_measurement(document));
    std::string again;
    try {
      const auto reread = profiles::JsonNode::parse(written, "written");
      again = runtime::measurement_text(runtime::read_measurement(reread));
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a measurement that was written is accepted");
    }
    fuzz::require(again == written, "a measurement reads back as it was written");
  });
}
