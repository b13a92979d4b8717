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

}  // namespace meshplan::profiles
