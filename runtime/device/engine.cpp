#include "runtime/device/engine.h"

#include <dlfcn.h>

#include <array>
#include <mutex>

#include "runtime/communicator/mpi.h"

namespace meshplan::runtime {
namespace {

Engine* load() {
  const std::optional<std::string> library = find_plugin(kEnginePlugin);
  if (!library) {
    throw EngineMissing(std::string("no GPU engine: ") + kEnginePlugin +
                        " is not beside this program (it is built where a CUDA compiler, cuBLAS "
                        "and NCCL are found)");
  }
  // Never closed: CUDA leaves threads and handlers behind.
  void* handle = dlopen(library->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw EngineMissing(std::string("no GPU engine: ") + dlerror());
  void* symbol = dlsym(handle, kEngineEntry);
  if (symbol == nullptr) throw EngineMissing(std::string("no GPU engine: ") + dlerror());
  std::array<char, 512> reason{};
  Engine* engine = reinterpret_cast<EngineEntry*>(symbol)(reason.data(), reason.size());
  if (engine == nullptr) throw EngineMissing(std::string("no GPU engine: ") + reason.data());
  return engine;
}

}  // namespace

Engine& load_engine() {
  static std::mutex mutex;
  static Engine* engine = nullptr;  // never destroyed: the driver may be gone by then
  const std::lock_guard lock(mutex);
  if (engine == nullptr) engine = load();
  return *engine;
}

Engine* find_engine(std::string& why) {
  // Without a driver nothing else need be loaded, which takes long beside planning.
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return nullptr;
  dlclose(driver);
  try {
    return &load_engine();
  } catch (const EngineMissing& missing) {
    why = missing.what();
    return nullptr;
  }
}

}  // namespace meshplan::runtime
