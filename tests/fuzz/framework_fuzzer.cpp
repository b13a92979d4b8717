// Framework files, as --profiles DIR brings them in.
#include <cmath>

#include "profiles/framework.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::file_with(fuzz::as_text(data, size), "frameworks/fuzzed.json");
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files(
        {path.substr(0, path.size() - std::string("/frameworks/fuzzed.json").size())});
    const profiles::Framework framework = profiles::load_framework("fuzzed", files);
    fuzz::require(framework.known, "the file was found");
    fuzz::require(std::isfinite(framework.fragmentation) && framework.fragmentation >= 0,
                  "fragmentation is a finite share");
    fuzz::require(framework.workspace.count >= 0, "workspace is no negative size");
  });
}
