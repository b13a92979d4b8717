#pragma once
#include <string>
#include <string_view>

namespace meshplan::profiles {

/// Writes `text` to `path` under a temporary name beside it and renames: readers see the old file
/// or the whole new one. A device or a pipe, such as /dev/stdout, is written to as it is. Throws
/// InputError if the place cannot be written.
void write_atomically(const std::string& path, std::string_view text);

/// As write_atomically, and makes the folders that `path` lies in.
void write_with_folders(const std::string& path, std::string_view text);

/// For work that takes long before it writes: refuses what cannot be written, and changes nothing.
/// A file whose folder is not there, or is no place to write to; "" is no file and passes.
void require_writable_file(const std::string& path);
/// A folder that can neither be written to nor made.
void require_writable_folder(const std::string& folder);

}  // namespace meshplan::profiles
