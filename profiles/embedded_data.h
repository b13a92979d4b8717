#pragma once
#include <span>
#include <string_view>

namespace meshplan::profiles {

/// One file of profiles/data, carried inside the binary.
struct EmbeddedFile {
  std::string_view name;  ///< relative to profiles/data, e.g. "models/gpt2.json"
  std::string_view text;
};

/// Every file of profiles/data, sorted by name. Generated at build time
/// (profiles/cmake/embed.cmake).
std::span<const EmbeddedFile> embedded_files();

}  // namespace meshplan::profiles
