#include "profiles/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "profiles/input_error.h"

namespace meshplan::profiles {

void write_atomically(const std::string& path, std::string_view text) {
  const std::string temporary = path + "." + std::to_string(::getpid()) + ".tmp";
  const auto fail = [&](int error) {
    std::remove(temporary.c_str());
    throw InputError(path, "a place to write to", std::strerror(error));
  };
  if (std::filesystem::is_directory(path)) throw InputError(path, "a file name", "a directory");
  {
    std::ofstream file(temporary, std::ios::binary);
    if (!file) fail(errno);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (!file) fail(errno == 0 ? EIO : errno);
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(errno);
}

}  // namespace meshplan::profiles
