// CUDA's runtime: devices, streams and events.
#include <cstdio>
#include <cstring>

#include "machine.h"

using namespace meshplan::played;

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
