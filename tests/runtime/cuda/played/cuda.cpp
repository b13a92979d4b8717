// CUDA's runtime, and the driver's entry points for green contexts.
#include <cuda.h>
#include <cudaTypedefs.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "played.h"

using namespace meshplan::played;

namespace {

constexpr int kMostDevices = 16;
using Clock = std::chrono::steady_clock;

/// One recording of an event: what waits for the event waits for the recording that it found. Never
/// freed: counting who still uses it would order threads.
struct Recording {
  std::atomic<std::uint32_t> done{0};
  Clock::time_point when;
};

}  // namespace

/// Created for a device, recorded on its streams.
struct CUevent_st {
  int device = 0;
  bool timed = true;
  std::mutex mutex;
  Recording* recording = nullptr;  ///< the last; none: not recorded yet
};

/// A thread and the work issued to it. The host hands work over through `next` and hears of the end
/// of it through `done` only when it asks: so no order comes about that CUDA does not promise.
struct CUstream_st {
  struct Node {
    std::function<void()> work;  ///< none: the stream is destroyed
    std::atomic<Node*> next{nullptr};
  };

  CUstream_st(int ordinal, std::uint32_t number) : device(ordinal), seed(number) {
    std::thread([this] { run(); }).detach();
  }
  void push(std::function<void()> work) {
    auto* const node = new Node{std::move(work)};
    const std::lock_guard lock(issuing);
    ++issued;
    tail->next.store(node, std::memory_order_release);
    tail = node;
    signal.fetch_add(1, std::memory_order_release);
    wake(&signal);
  }
  [[nodiscard]] std::uint32_t issued_so_far() {
    const std::lock_guard lock(issuing);
    return issued;
  }
  [[nodiscard]] bool passed(std::uint32_t count) const {
    return static_cast<std::int32_t>(done.load(std::memory_order_acquire) - count) >= 0;
  }
  void wait() {
    const std::uint32_t count = issued_so_far();
    for (;;) {
      const std::uint32_t now = done.load(std::memory_order_acquire);
      if (static_cast<std::int32_t>(now - count) >= 0) return;
      wait_on(&done, now);
    }
  }
  void run();

  const int device;
  bool destroyed = false;
  std::mutex issuing;
  std::uint32_t issued = 0, seed = 0;
  std::atomic<std::uint32_t> done{0}, signal{0};
  Node* tail = new Node;
  Node* head = tail;  ///< of the thread
};

struct CUgreenCtx_st {
  int device = 0;
};

namespace {

struct Block {
  char* map = nullptr;
  std::size_t map_size = 0, size = 0;
  int device = 0;  ///< -1: page-locked memory of the host
};

struct Failure {
  int error = 0, spared = 0;
};

/// Never destroyed: streams may outlive everything else of the process.
struct State {
  std::mutex mutex;
  std::map<const char*, Block> blocks, freed;  ///< by address
  std::set<cudaStream_t> streams;
  std::vector<std::unique_ptr<CUstream_st>> streams_ever;
  std::set<cudaEvent_t> events;
  std::deque<Recording> recordings;
  std::set<int> contexts;
  std::array<cudaStream_t, kMostDevices> legacy{};  ///< default streams, made when used
  std::array<std::int64_t, kMostDevices> used{};
  int green_contexts = 0, communicators = 0;
  std::array<std::atomic<int>, kMostDevices> broken{};
  std::array<std::atomic<bool>, kMostDevices> stalled{};

  std::mutex failures_mutex;
  std::map<std::string, Failure> failures;

  std::mutex reports_mutex;
  bool listening = false;
  std::vector<std::string> reports;
};
State& state() {
  static State& found = *new State;
  return found;
}

thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t said(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

/// What every call on a device begins with: an error in store, or that of a broken device.
cudaError_t begun(const char* call, int device) {
  if (const int error = stored_failure(call); error != 0) return static_cast<cudaError_t>(error);
  return static_cast<cudaError_t>(state().broken[static_cast<std::size_t>(device)].load());
}

void start_context(int device) {
  const std::lock_guard lock(state().mutex);
  if (!state().contexts.insert(device).second) return;
  constexpr std::int64_t kContext = std::int64_t{400} << 20;
  state().used[static_cast<std::size_t>(device)] += kContext;
}

/// Under the mutex.
cudaStream_t new_stream(int device) {
  const auto number = static_cast<std::uint32_t>(state().streams_ever.size());
  state().streams_ever.push_back(std::make_unique<CUstream_st>(device, number));
  return state().streams_ever.back().get();
}

/// A stream that exists; null stands for the current device's default stream.
cudaStream_t known(const char* call, cudaStream_t stream) {
  const std::lock_guard lock(state().mutex);
  if (stream == nullptr) {
    cudaStream_t& legacy = state().legacy[static_cast<std::size_t>(current)];
    if (legacy == nullptr) legacy = new_stream(current);
    return legacy;
  }
  const auto& legacy = state().legacy;
  if (!state().streams.contains(stream) &&
      std::find(legacy.begin(), legacy.end(), stream) == legacy.end()) {
    report(std::string(call) + ": a stream that does not exist");
    return nullptr;
  }
  return stream;
}
bool known(const char* call, cudaEvent_t event) {
  const std::lock_guard lock(state().mutex);
  if (state().events.contains(event)) return true;
  report(std::string(call) + ": an event that does not exist");
  return false;
}

cudaStream_t made_stream(int device) {
  const std::lock_guard lock(state().mutex);
  const cudaStream_t stream = new_stream(device);
  state().streams.insert(stream);
  return stream;
}

/// A file of NaN (all bits set) that is mapped until somebody writes.
int nan_file(std::size_t size) {
  static const int file = [size] {
    const int made = memfd_create("nan", 0);
    const std::vector<char> bytes(size, '\xff');
    if (made < 0 || write(made, bytes.data(), size) != static_cast<ssize_t>(size)) std::abort();
    return made;
  }();
  return file;
}

/// Memory whose end is that of a page, and a page behind it that nobody may touch.
char* mapped(std::size_t size, int device) {
  constexpr std::size_t kPage = 4096, kPiece = std::size_t{2} << 20, kAlignment = 512;
  const auto rounded = [](std::size_t n, std::size_t to) { return (n + to - 1) / to * to; };
  const std::size_t body = rounded(size, kPage);
  Block block{nullptr, body + 2 * kPage, size, device};
  void* const map =
      mmap(nullptr, block.map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  block.map = static_cast<char*>(map);
  for (std::size_t at = 0; at < body; at += kPiece) {
    if (mmap(block.map + kPage + at, std::min(kPiece, body - at), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, nan_file(kPiece), 0) == MAP_FAILED) {
      return nullptr;
    }
  }
  char* const memory = block.map + kPage + body - rounded(size, kAlignment);
  const std::lock_guard lock(state().mutex);
  state().blocks[memory] = block;
  if (device >= 0)
    state().used[static_cast<std::size_t>(device)] += static_cast<std::int64_t>(size);
  return memory;
}

/// The block is gone for good: its addresses are never used again.
bool unmapped(const char* call, void* memory, bool host) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().blocks.find(static_cast<char*>(memory));
  if (found == state().blocks.end() || (found->second.device < 0) != host) {
    report(std::string(call) + ": memory that was not allocated, or freed before");
    return false;
  }
  const Block& block = found->second;
  if (!host) {
    state().used[static_cast<std::size_t>(block.device)] -= static_cast<std::int64_t>(block.size);
  }
  mmap(block.map, block.map_size, PROT_NONE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  state().freed.insert(*found);
  state().blocks.erase(found);
  return true;
}

/// The block that holds [memory, memory + bytes).
std::optional<Block> holder(const void* memory, std::size_t bytes) {
  const auto* const begin = static_cast<const char*>(memory);
  const std::lock_guard lock(state().mutex);
  auto next = state().blocks.upper_bound(begin);
  if (next == state().blocks.begin()) return std::nullopt;
  const auto& [base, block] = *std::prev(next);
  if (begin + bytes > base + block.size) return std::nullopt;
  return block;
}

void require_pinned(const char* call, const void* memory, std::size_t bytes) {
  const std::optional<Block> block = holder(memory, bytes);
  if (!block || block->device >= 0) {
    report(std::string(call) + ": host memory that is not page-locked");
  }
}

void wait_for_device(int device) {
  std::vector<cudaStream_t> streams;
  {
    const std::lock_guard lock(state().mutex);
    for (cudaStream_t stream : state().streams) {
      if (stream->device == device) streams.push_back(stream);
    }
    if (cudaStream_t legacy = state().legacy[static_cast<std::size_t>(device)]) {
      streams.push_back(legacy);
    }
  }
  for (cudaStream_t stream : streams) stream->wait();  // never freed, so safe to look at
}

/// When the process ends nothing may be left.
struct AtTheEnd {
  ~AtTheEnd() {
    const Alive left = alive();
    if (left.streams + left.events + left.blocks + left.green_contexts + left.communicators == 0) {
      return;
    }
    std::fprintf(
        stderr,
        "played CUDA: left at the end: %d streams, %d events, %d blocks of memory, %d green "
        "contexts, %d communicators\n",
        left.streams, left.events, left.blocks, left.green_contexts, left.communicators);
    std::fflush(nullptr);
    _exit(1);
  }
} at_the_end;

}  // namespace

void CUstream_st::run() {
  for (;;) {
    Node* next = nullptr;
    for (;;) {
      const std::uint32_t seen = signal.load(std::memory_order_acquire);
      next = head->next.load(std::memory_order_acquire);
      if (next != nullptr) break;
      wait_on(&signal, seen);
    }
    delete head;
    head = next;
    if (!next->work) return;
    while (state().stalled[static_cast<std::size_t>(device)].load()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    seed = seed * 1664525 + 1013904223;  // now and then late, so that others overtake
    if (seed >> 26 == 0) std::this_thread::sleep_for(std::chrono::microseconds(30));
    if (state().broken[static_cast<std::size_t>(device)].load() == cudaSuccess) next->work();
    next->work = nullptr;
    done.fetch_add(1, std::memory_order_release);
    wake(&done);
  }
}

namespace meshplan::played {

Machine& machine() {
  static Machine& found = *new Machine([] {
    Machine made;
    if (const char* count = std::getenv("MESHPLAN_PLAYED_DEVICES")) made.devices = std::atoi(count);
    made.idle = std::getenv("MESHPLAN_PLAYED_IDLE") != nullptr;
    return made;
  }());
  return found;
}

void report(const std::string& what) {
  const std::lock_guard lock(state().reports_mutex);
  if (state().listening) {
    state().reports.push_back(what);
    return;
  }
  std::fprintf(stderr, "played CUDA: %s\n", what.c_str());
  std::abort();
}

Listening::Listening() {
  const std::lock_guard lock(state().reports_mutex);
  state().listening = true;
}
Listening::~Listening() {
  const std::lock_guard lock(state().reports_mutex);
  state().listening = false;
  state().reports.clear();
}
std::vector<std::string> Listening::reports() const {
  const std::lock_guard lock(state().reports_mutex);
  return state().reports;
}

Alive alive() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return {static_cast<int>(s.contexts.size()),
          static_cast<int>(s.streams.size()),
          static_cast<int>(s.events.size()),
          static_cast<int>(s.blocks.size()),
          s.green_contexts,
          s.communicators};
}

void fail_next(const std::string& call, int error, int spared) {
  const std::lock_guard lock(state().failures_mutex);
  state().failures[call] = {error, spared};
}

bool failed(const std::string& call) {
  const std::lock_guard lock(state().failures_mutex);
  return state().failures.erase(call) == 0;
}

int stored_failure(const char* call) {
  const std::lock_guard lock(state().failures_mutex);
  const auto found = state().failures.find(call);
  if (found == state().failures.end()) return 0;
  if (found->second.spared-- > 0) return 0;
  const int error = found->second.error;
  state().failures.erase(found);
  return error;
}

void break_device(int ordinal, cudaError_t error) {
  state().broken[static_cast<std::size_t>(ordinal)] = error;
}
void stall_device(int ordinal, bool stalled) {
  state().stalled[static_cast<std::size_t>(ordinal)] = stalled;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  if (cudaStream_t to = known("launch", stream)) to->push(std::move(work));
}

int current_device() { return current; }
int device_of(cudaStream_t stream) {
  const cudaStream_t found = known("device_of", stream);
  return found == nullptr ? current : found->device;
}

void require_memory(const char* call, const void* memory, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return;
  const std::optional<Block> block = holder(memory, bytes);
  if (!block) {
    report(std::string(call) + ": memory that is not allocated, or beyond its end");
  } else if (block->device != device_of(stream)) {
    report(std::string(call) + ": memory of another device than the stream's");
  }
}

void take_memory(int ordinal, std::int64_t bytes) {
  const std::lock_guard lock(state().mutex);
  state().used[static_cast<std::size_t>(ordinal)] += bytes;
}

std::int64_t used_memory(int ordinal) {
  const std::lock_guard lock(state().mutex);
  return state().used[static_cast<std::size_t>(ordinal)];
}

void count_communicator(int by) {
  const std::lock_guard lock(state().mutex);
  state().communicators += by;
}

void wait_on(const void* word, std::uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
void wake(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
}

}  // namespace meshplan::played

// ---- devices

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (machine().driver < CUDART_VERSION) return said(cudaErrorInsufficientDriver);
  if (machine().devices == 0) return said(cudaErrorNoDevice);
  *count = machine().devices;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine().driver;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= machine().devices) return said(cudaErrorInvalidDevice);
  current = device;
  if (const cudaError_t error = begun("cudaSetDevice", device)) return said(error);
  start_context(device);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= machine().devices) return said(cudaErrorInvalidDevice);
  *properties = {};
  std::strncpy(properties->name, "NVIDIA H200", sizeof(properties->name) - 1);
  properties->major = machine().compute_capability / 10;
  properties->minor = machine().compute_capability % 10;
  properties->multiProcessorCount = machine().multiprocessors;
  properties->totalGlobalMem = static_cast<std::size_t>(machine().memory_bytes);
  properties->l2CacheSize = 50 << 20;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
  if (device < 0 || device >= machine().devices) return said(cudaErrorInvalidDevice);
  if (which != cudaDevAttrMultiProcessorCount) {
    report("cudaDeviceGetAttribute: an attribute that is not played");
    return said(cudaErrorInvalidValue);
  }
  *value = machine().multiprocessors;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
  std::snprintf(text, static_cast<std::size_t>(size), "0000:%02X:00.0", device + 1);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = begun("cudaDeviceSynchronize", current)) return said(error);
  wait_for_device(current);
  return said(begun("", current));
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* most) {
  *least = 0;
  *most = -5;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    default:
      return "another error";
  }
}

// ---- memory

cudaError_t cudaMalloc(void** memory, std::size_t size) {
  *memory = nullptr;
  if (const cudaError_t error = begun("cudaMalloc", current)) return said(error);
  start_context(current);
  if (size == 0) return cudaSuccess;
  if (static_cast<std::int64_t>(size) > machine().memory_bytes - used_memory(current)) {
    return said(cudaErrorMemoryAllocation);
  }
  *memory = mapped(size, current);
  return *memory == nullptr ? said(cudaErrorMemoryAllocation) : cudaSuccess;
}
/// The memory is gone at once, which CUDA does not promise; then waits for the device, as CUDA
/// does.
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) {
    start_context(current);
    return said(begun("cudaFree", current));
  }
  const std::optional<Block> block = holder(memory, 1);
  if (!unmapped("cudaFree", memory, false)) return said(cudaErrorInvalidValue);
  if (const cudaError_t error = begun("cudaFree", block->device)) return said(error);
  wait_for_device(block->device);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t size) {
  if (const cudaError_t error = begun("cudaMallocHost", current)) return said(error);
  *memory = mapped(size, -1);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  if (!unmapped("cudaFreeHost", memory, true)) return said(cudaErrorInvalidValue);
  return said(begun("cudaFreeHost", current));
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  if (const cudaError_t error = begun("cudaMemGetInfo", current)) return said(error);
  start_context(current);
  const std::lock_guard lock(state().mutex);
  *total = static_cast<std::size_t>(machine().memory_bytes);
  *free = *total - static_cast<std::size_t>(state().used[static_cast<std::size_t>(current)]);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const cudaStream_t on = known("cudaMemcpyAsync", stream);
  if (on == nullptr) return said(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = begun("cudaMemcpyAsync", on->device)) return said(error);
  if (kind == cudaMemcpyHostToDevice) {
    require_pinned("cudaMemcpyAsync", from, size);
  } else {
    require_memory("cudaMemcpyAsync", from, size, on);
  }
  if (kind == cudaMemcpyDeviceToHost) {
    require_pinned("cudaMemcpyAsync", to, size);
  } else {
    require_memory("cudaMemcpyAsync", to, size, on);
  }
  on->push([=] { std::memcpy(to, from, size); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind) {
  if (const cudaError_t error = begun("cudaMemcpy", current)) return said(error);
  const cudaStream_t legacy = known("cudaMemcpy", cudaStream_t{nullptr});
  legacy->push([=] {
    if (size > 0) std::memcpy(to, from, size);
  });
  legacy->wait();
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t size, cudaStream_t stream) {
  const cudaStream_t on = known("cudaMemsetAsync", stream);
  if (on == nullptr) return said(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = begun("cudaMemsetAsync", on->device)) return said(error);
  require_memory("cudaMemsetAsync", memory, size, on);
  on->push([=] { std::memset(memory, value, size); });
  return cudaSuccess;
}
/// On the default stream, which other streams do not wait for, and not waited for by the host.
cudaError_t cudaMemset(void* memory, int value, std::size_t size) {
  return cudaMemsetAsync(memory, value, size, nullptr);
}

// ---- streams

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  if (const cudaError_t error = begun("cudaStreamCreate", current)) return said(error);
  if (flags != cudaStreamNonBlocking) report("a stream that waits for the default stream");
  start_context(current);
  *stream = made_stream(current);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cudaStream_t known_one = known("cudaStreamDestroy", stream);
  if (known_one == nullptr) return said(cudaErrorInvalidResourceHandle);
  {
    const std::lock_guard lock(state().mutex);
    state().streams.erase(stream);
  }
  stream->push(nullptr);
  return said(begun("cudaStreamDestroy", stream->device));
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const cudaStream_t on = known("cudaStreamSynchronize", stream);
  if (on == nullptr) return said(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = begun("cudaStreamSynchronize", on->device)) return said(error);
  on->wait();
  return said(begun("", on->device));
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const cudaStream_t on = known("cudaStreamQuery", stream);
  if (on == nullptr) return said(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = begun("cudaStreamQuery", on->device)) return said(error);
  return on->passed(on->issued_so_far()) ? cudaSuccess : said(cudaErrorNotReady);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const cudaStream_t on = known("cudaStreamWaitEvent", stream);
  if (on == nullptr || !known("cudaStreamWaitEvent", event)) {
    return said(cudaErrorInvalidResourceHandle);
  }
  if (const cudaError_t error = begun("cudaStreamWaitEvent", on->device)) return said(error);
  const std::lock_guard lock(event->mutex);
  if (event->recording == nullptr) return cudaSuccess;
  on->push([recording = event->recording] {
    while (recording->done.load(std::memory_order_acquire) == 0) wait_on(&recording->done, 0);
  });
  return cudaSuccess;
}

// ---- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (const cudaError_t error = begun("cudaEventCreate", current)) return said(error);
  auto* const made = new CUevent_st;
  made->device = current;
  made->timed = (flags & cudaEventDisableTiming) == 0;
  const std::lock_guard lock(state().mutex);
  state().events.insert(made);
  *event = made;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!known("cudaEventDestroy", event)) return said(cudaErrorInvalidResourceHandle);
  const int device = event->device;
  {
    const std::lock_guard lock(state().mutex);
    state().events.erase(event);
  }
  delete event;
  return said(begun("cudaEventDestroy", device));
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const cudaStream_t on = known("cudaEventRecord", stream);
  if (on == nullptr || !known("cudaEventRecord", event)) {
    return said(cudaErrorInvalidResourceHandle);
  }
  if (const cudaError_t error = begun("cudaEventRecord", on->device)) return said(error);
  if (event->device != on->device) {
    report("cudaEventRecord: an event of another device than the stream's");
    return said(cudaErrorInvalidResourceHandle);
  }
  Recording* recording = nullptr;
  {
    const std::lock_guard lock(state().mutex);
    recording = &state().recordings.emplace_back();
  }
  {
    const std::lock_guard lock(event->mutex);
    event->recording = recording;
  }
  on->push([recording] {
    recording->when = Clock::now();
    recording->done.store(1, std::memory_order_release);
    wake(&recording->done);
  });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (!known("cudaEventQuery", event)) return said(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = begun("cudaEventQuery", event->device)) return said(error);
  const std::lock_guard lock(event->mutex);
  const bool passed =
      event->recording == nullptr || event->recording->done.load(std::memory_order_acquire) != 0;
  return passed ? cudaSuccess : said(cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!known("cudaEventSynchronize", event)) return said(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = begun("cudaEventSynchronize", event->device)) return said(error);
  const Recording* recording = nullptr;
  {
    const std::lock_guard lock(event->mutex);
    recording = event->recording;
  }
  while (recording != nullptr && recording->done.load(std::memory_order_acquire) == 0) {
    wait_on(&recording->done, 0);
  }
  return said(begun("", event->device));
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (!known("cudaEventElapsedTime", from) || !known("cudaEventElapsedTime", to)) {
    return said(cudaErrorInvalidResourceHandle);
  }
  if (const cudaError_t error = begun("cudaEventElapsedTime", from->device)) return said(error);
  if (from->device != to->device || !from->timed || !to->timed || !from->recording ||
      !to->recording) {
    report("cudaEventElapsedTime: events of two devices, without times or never recorded");
    return said(cudaErrorInvalidResourceHandle);
  }
  for (cudaEvent_t event : {from, to}) {
    if (cudaEventQuery(event) != cudaSuccess) return said(cudaErrorNotReady);
  }
  using Milliseconds = std::chrono::duration<double, std::milli>;
  *milliseconds =
      static_cast<float>(Milliseconds(to->recording->when - from->recording->when).count());
  return cudaSuccess;
}

// ---- the driver: green contexts

namespace {

CUresult device_resource(CUdevice, CUdevResource* resource, CUdevResourceType type) {
  *resource = {};
  resource->type = type;
  resource->sm.smCount = static_cast<unsigned>(machine().multiprocessors);
  return CUDA_SUCCESS;
}
/// Compute capability 9.0: at least 8, multiples of 8.
CUresult split(CUdevResource* parts, unsigned* count, const CUdevResource* whole, CUdevResource*,
               unsigned, unsigned least) {
  const unsigned size = std::max(8U, (least + 7) / 8 * 8);
  *count = std::min(*count, whole->sm.smCount / size);
  for (unsigned i = 0; i < *count; ++i) {
    parts[i] = *whole;
    parts[i].sm.smCount = size;
  }
  return CUDA_SUCCESS;
}
CUresult describe(CUdevResourceDesc* description, CUdevResource*, unsigned) {
  static int some = 0;
  *description = reinterpret_cast<CUdevResourceDesc>(&some);
  return CUDA_SUCCESS;
}
CUresult create(CUgreenCtx* context, CUdevResourceDesc, CUdevice device, unsigned flags) {
  if (const int error = stored_failure("cuGreenCtxCreate")) return static_cast<CUresult>(error);
  if (flags != CU_GREEN_CTX_DEFAULT_STREAM) return CUDA_ERROR_INVALID_VALUE;
  *context = new CUgreenCtx_st{device};
  const std::lock_guard lock(state().mutex);
  ++state().green_contexts;
  return CUDA_SUCCESS;
}
CUresult destroy(CUgreenCtx context) {
  delete context;
  const std::lock_guard lock(state().mutex);
  --state().green_contexts;
  return CUDA_SUCCESS;
}
CUresult stream_of(CUstream* stream, CUgreenCtx context, unsigned flags, int) {
  if (flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  *stream = made_stream(context->device);
  return CUDA_SUCCESS;
}

}  // namespace

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  const std::map<std::string, void*> functions = {
      {"cuDeviceGetDevResource", reinterpret_cast<void*>(&device_resource)},
      {"cuDevSmResourceSplitByCount", reinterpret_cast<void*>(&split)},
      {"cuDevResourceGenerateDesc", reinterpret_cast<void*>(&describe)},
      {"cuGreenCtxCreate", reinterpret_cast<void*>(&create)},
      {"cuGreenCtxDestroy", reinterpret_cast<void*>(&destroy)},
      {"cuGreenCtxStreamCreate", reinterpret_cast<void*>(&stream_of)}};
  const auto known_one = functions.find(name);
  *function = known_one == functions.end() ? nullptr : known_one->second;
  *found = *function == nullptr ? cudaDriverEntryPointSymbolNotFound : cudaDriverEntryPointSuccess;
  return cudaSuccess;
}
