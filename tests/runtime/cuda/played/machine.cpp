#include "machine.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace meshplan::played {
namespace {

/// Under the mutex.
cudaStream_t new_stream(int device) {
  const auto number = static_cast<std::uint32_t>(state().streams_ever.size());
  state().streams_ever.push_back(std::make_unique<CUstream_st>(device, number));
  return state().streams_ever.back().get();
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

thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

State& state() {
  static State& found = *new State;
  return found;
}

cudaError_t said(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

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

using namespace meshplan::played;

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
