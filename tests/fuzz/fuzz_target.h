#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "profiles/input_error.h"

/// One fuzzer a reader of the project. Each defines LLVMFuzzerTestOneInput and is linked twice
/// over: with libFuzzer (preset `fuzz`), or with replay.cpp, which runs the seeds and deterministic
/// mutations of them in every build.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace meshplan::fuzz {

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Runs `read`; a refusal is as good as success, any other exception escapes and is a failure.
template <typename Read>
int accept_or_refuse(Read read) {
  try {
    read();
  } catch (const profiles::InputError&) {  // the input was wrong and somebody said so
  }
  return 0;
}

/// Ends the process if a property of what was read does not hold.
void require(bool holds, const char* property);

/// `text` as a file of its own for readers that take a path; overwritten by the next call.
std::string file_with(std::string_view text, const std::string& name);

}  // namespace meshplan::fuzz
