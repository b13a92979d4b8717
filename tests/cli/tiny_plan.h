#pragma once
#include <string>

#include "tests/cli/command.h"

namespace meshplan::cli_test {

/// A plan file in `scratch` for `layout` on a machine of 16 devices, whatever this one has: GPT-2
/// of two layers of 32 and 61 words, sequences of 16, eight of them, so that a step takes
/// milliseconds. `more`: further flags of `predict`.
std::string tiny_plan(const ScratchFolder& scratch, const std::string& layout,
                      const std::string& more = "--dtype fp32");

}  // namespace meshplan::cli_test
