#include "profiles/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

namespace fs = std::filesystem;

/// 0, or the error that kept `text` from reaching `path`.
int write_error(const std::string& path, std::string_view text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (file) return 0;
  return errno == 0 ? EIO : errno;
}

}  // namespace

void write_atomically(const std::string& path, std::string_view text) {
  const auto refuse = [&](int error) {
    throw InputError(path, "a place to write to", std::strerror(error));
  };
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) throw InputError(path, "a file name", "a directory");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    // A device or a pipe: what is renamed onto it would take its place.
    if (const int error = write_error(path, text)) refuse(error);
    return;
  }
  // A link stays one; what it leads to is replaced.
  const std::string target = fs::exists(status) ? fs::canonical(path).string() : path;
  const std::string temporary = target + "." + std::to_string(::getpid()) + ".tmp";
  int error = write_error(temporary, text);
  if (error == 0 && std::rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error == 0) return;
  std::remove(temporary.c_str());
  refuse(error);
}

void write_with_folders(const std::string& path, std::string_view text) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw InputError(folder.string(), "a folder that can be made", failed.message());
  write_atomically(path, text);
}

void require_writable_file(const std::string& path) {
  if (path.empty()) return;
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) throw InputError(path, "a file name", "a directory");
  // A file is replaced, which its folder must allow; a device or a pipe is written to.
  const bool replaced = !fs::exists(status) || fs::is_regular_file(status);
  const fs::path at = replaced ? fs::absolute(path).parent_path() : fs::path(path);
  if (::access(at.c_str(), replaced ? W_OK | X_OK : W_OK) != 0) {
    throw InputError(path, "a place to write to", std::strerror(errno));
  }
}

void require_writable_folder(const std::string& folder) {
  std::error_code ignored;
  fs::path there = fs::absolute(folder).lexically_normal();
  while (!fs::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, ignored)) throw InputError(there.string(), "a folder", "a file");
  if (::access(there.c_str(), W_OK | X_OK) != 0) {
    throw InputError(there.string(), "a folder to write to", std::strerror(errno));
  }
}

}  // namespace meshplan::profiles
