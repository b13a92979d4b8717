#include "runtime/communicator/mpi.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "runtime/communicator/mpi_plugin.h"

namespace meshplan::runtime {

void run_over_mpi(const std::string& library, const MpiOptions& options,
                  const std::function<void(Communicator&)>& body) {
  // Never closed: MPI leaves threads and handlers behind.
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw std::runtime_error(std::string("no MPI: ") + dlerror());
  void* symbol = dlsym(handle, kMpiEntry);
  if (symbol == nullptr) throw std::runtime_error(std::string("no MPI: ") + dlerror());
  reinterpret_cast<MpiEntry*>(symbol)(options, body);
}

std::optional<std::string> find_plugin(const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<fs::path> folders;
  if (const char* given = std::getenv("MESHPLAN_PLUGINS")) folders.emplace_back(given);
  folders.push_back(here);
  folders.push_back(here / ".." / "lib" / "meshplan");
  for (const fs::path& folder : folders) {
    if (fs::exists(folder / name, ignored)) return (folder / name).string();
  }
  return std::nullopt;
}

}  // namespace meshplan::runtime
