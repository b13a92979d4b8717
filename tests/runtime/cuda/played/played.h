#pragma once
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// A machine with NVIDIA GPUs that threads play: one library in place of CUDA's runtime, the driver,
// NCCL, cuBLASLt and the management library, with what they promise and no more. A stream is a
// thread that does what was issued to it, in order; memory of a device is memory of the host.
// Kernels are our own, compiled for the host. So the GPU engine runs as it is, without a GPU.
//
// It is stricter than the libraries: what they leave undefined is reported, and a report ends the
// process. Memory is full of NaN until written, ends at a page that nobody may touch, and is never
// used again once freed. Between two streams, and between a stream and the host, nothing is ordered
// but what CUDA orders: under the thread sanitizer a missing event is a data race, however the
// threads happened to run.

namespace meshplan::played {

/// The machine, as it is until the first device is used. $MESHPLAN_PLAYED_DEVICES sets `devices`;
/// with $MESHPLAN_PLAYED_IDLE kernels and products take no time and do nothing.
struct Machine {
  int devices = 8;
  std::int64_t memory_bytes = std::int64_t{24}
                              << 30;  ///< of each; taken from the host when written
  int multiprocessors = 132;
  int compute_capability = 90;
  int driver = CUDART_VERSION;  ///< 0: none
  bool idle = false;
};
Machine& machine();

/// Says that a rule was broken, and ends the process unless somebody listens.
void report(const std::string& what);

/// Collects reports while it lives.
class Listening {
 public:
  Listening();
  ~Listening();
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  [[nodiscard]] std::vector<std::string> reports() const;
};

/// What exists now. When the process ends all of it but contexts must be gone.
struct Alive {
  int contexts = 0, streams = 0, events = 0, blocks = 0, green_contexts = 0, communicators = 0;
};
Alive alive();

/// The next call of this name fails once, after `spared` more that do not.
void fail_next(const std::string& call, int error, int spared = 0);
/// Whether the call has failed since; it will not any more.
bool failed(const std::string& call);
/// From now on every call that concerns the device fails, as after a fault in a kernel;
/// cudaSuccess: mended.
void break_device(int ordinal, cudaError_t error);
/// While a device is stalled its streams do not get on.
void stall_device(int ordinal, bool stalled);
/// Communicators of a device tell of an error from now on, and their calls never end.
void break_communicators(int ordinal, ncclResult_t error);

/// `work`, done when the stream comes to it.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// An error that fail_next() has in store for this call; 0: none.
int stored_failure(const char* call);
int current_device();
int device_of(cudaStream_t stream);
/// Reports unless the device of `stream` holds [memory, memory + bytes).
void require_memory(const char* call, const void* memory, std::size_t bytes, cudaStream_t stream);
/// Counts memory that a library takes (or gives back: negative) on a device.
void take_memory(int ordinal, std::int64_t bytes);
std::int64_t used_memory(int ordinal);
/// Waits while `expected` stands at `word`: a system call that orders nothing but itself.
void wait_on(const void* word, std::uint32_t expected);
void wake(const void* word);
void count_communicator(int by);

}  // namespace meshplan::played
