// Engine files, as --profiles DIR brings them in.
#include <cmath>

#include "profiles/engine.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = fuzz::file_with(fuzz::as_text(data, size), "engines/fuzzed.json");
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files(
        {path.substr(0, path.size() - std::string("/engines/fuzzed.json").size())});
    const profiles::Engine engine = profiles::load_engine("fuzzed", files);
    fuzz::require(engine.known, "the file was found");
    fuzz::require(engine.cache_fraction >= 0 && engine.cache_fraction <= 1,
                  "the cache takes a part of memory");
    fuzz::require(engine.max_sequences >= 1 && engine.max_batched_tokens >= 1,
                  "a step holds something");
    fuzz::require(std::isfinite(engine.step.count()) && engine.step.count() >= 0,
                  "a step takes a finite time");
  });
}
