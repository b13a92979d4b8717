#pragma once
#include <string>
#include <string_view>

namespace meshplan::profiles {

/// Writes `text` to `path` under a temporary name beside it and renames: readers see the old file
/// or the whole new one. A device or a pipe, such as /dev/stdout, is written to as it is. Throws
/// InputError if the place cannot be written.
void write_atomically(const std::string& path, std::string_view text);

}  // namespace meshplan::profiles
