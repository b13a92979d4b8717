#include "runtime/cuda/cuda_engine.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "profiles/input_error.h"
#include "runtime/communicator/lone.h"
#include "runtime/cuda/check.h"
#include "runtime/cuda/management.h"
#include "runtime/cuda/nccl_seat.h"
#include "runtime/cuda/partition.h"

namespace meshplan::runtime::cuda {
namespace {

using profiles::Bytes;

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, ordinal), "cudaDeviceGetAttribute");
  return value;
}

/// 13000 -> "13.0"
std::string cuda_version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}
/// 22809 -> "2.28.9"
std::string nccl_version(int number) {
  return std::to_string(number / 10000) + "." + std::to_string(number / 100 % 100) + "." +
         std::to_string(number % 100);
}

/// What must stand in the environment before the driver and NCCL start; the user's values win.
void prepare_environment() {
  // Streams of several ranks would share hardware queues, and wait for each other for nothing.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  // Groups on several streams of one device: the host's order of issue is the device's (2.26).
  setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
}

int driver_devices() {
  prepare_environment();
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    throw Error(driver == 0 ? "no NVIDIA driver (libcuda.so.1)"
                            : "the NVIDIA driver is of CUDA " + cuda_version(driver) +
                                  ", older than CUDA " + cuda_version(CUDART_VERSION));
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    throw Error("the NVIDIA driver shows no device");
  }
  check(status, "cudaGetDeviceCount");
  return count;
}

/// Makes the primary context, and tells what it took where that can be known.
Bytes make_context(int ordinal) {
  std::array<char, 32> bus_id{};
  check(cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), ordinal),
        "cudaDeviceGetPCIBusId");
  const auto before = used_memory(bus_id.data());
  check(cudaSetDevice(ordinal), "cudaSetDevice");
  check(cudaFree(nullptr), "cudaFree");
  const auto after = used_memory(bus_id.data());
  if (!before || !after || *after < *before) return {};
  return *after - *before;
}

template <class T, class Make>
std::shared_ptr<T> shared_or_made(std::weak_ptr<T>& known, Make make) {
  std::shared_ptr<T> out = known.lock();
  if (!out) known = out = make();
  return out;
}

}  // namespace

CudaEngine::CudaEngine() : count_(driver_devices()) {}

std::string CudaEngine::description() const {
  int driver = 0, nccl = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(ncclGetVersion(&nccl), "ncclGetVersion", nullptr);
  return "CUDA " + cuda_version(CUDART_VERSION) + ", driver " + cuda_version(driver) + "; " +
         kernels::cuda::library_versions() + "; NCCL " + nccl_version(nccl);
}

std::vector<DeviceFacts> CudaEngine::devices() const {
  std::vector<DeviceFacts> out;
  for (int ordinal = 0; ordinal < count_; ++ordinal) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    DeviceFacts facts;
    facts.ordinal = ordinal;
    facts.name = properties.name;
    facts.compute_capability = 10 * properties.major + properties.minor;
    facts.multiprocessors = properties.multiProcessorCount;
    facts.memory = {static_cast<std::int64_t>(properties.totalGlobalMem)};
    facts.l2_cache = {properties.l2CacheSize};
    facts.green_contexts = properties.major >= 9;
    out.push_back(facts);
  }
  return out;
}

DeviceLinks CudaEngine::links(int ordinal) const { return links_of(ordinal, count_); }

void CudaEngine::start(int ordinal) {
  if (!context_.contains(ordinal)) context_[ordinal] = make_context(ordinal);
  check(cudaSetDevice(ordinal), "cudaSetDevice");
}

Bytes CudaEngine::free_memory(int ordinal) {
  const std::lock_guard lock(mutex_);
  start(ordinal);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {static_cast<std::int64_t>(free)};
}

DeviceState CudaEngine::state(int ordinal) const { return state_of(ordinal); }

int CudaEngine::multiprocessors_of_partition(int ordinal, int partitions) const {
  const int all = attribute(cudaDevAttrMultiProcessorCount, ordinal);
  const int size = partition_size(all, partitions);
  if (size == 0) {
    throw profiles::InputError("--mode partitioned",
                               std::to_string(partitions) + " parts of 8 multiprocessors or more",
                               "a device of " + std::to_string(all));
  }
  return size;
}

std::string CudaEngine::describe(const SeatOptions& seat, int multiprocessors) const {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, seat.ordinal), "cudaGetDeviceProperties");
  std::string text = "cuda: " + std::string(properties.name);
  if (seat.seating == Seating::Partitioned) {
    text += " / " + std::to_string(seat.partitions) + " (" + std::to_string(multiprocessors) +
            " multiprocessors)";
  }
  return text;
}

RankPlace CudaEngine::place_of(const SeatOptions& seat) {
  const std::lock_guard lock(mutex_);
  start(seat.ordinal);
  Shared& shared = shared_[seat.ordinal];
  RankPlace place;
  place.ordinal = seat.ordinal;
  place.timeout = seat.timeout;
  place.context = context_[seat.ordinal];
  place.epoch = shared_or_made(shared.epoch, [] { return std::make_shared<const Epoch>(); });
  if (seat.seating == Seating::Replay || seat.seating == Seating::Partitioned) {
    place.mail = shared_or_made(shared.mail, [] { return std::make_shared<MailMemory>(); });
  }
  kernels::cuda::QueueOptions options;
  int multiprocessors = attribute(cudaDevAttrMultiProcessorCount, seat.ordinal);
  const auto queue_on = [&](const Streams& streams) {
    return std::make_shared<kernels::cuda::Queue>(seat.ordinal, streams[Queue::Compute], options);
  };
  switch (seat.seating) {
    case Seating::OneEach:
      place.streams = Streams::own();
      place.kernels = queue_on(*place.streams);
      break;
    case Seating::Replay:
    case Seating::Alone:
      place.streams = shared_or_made(shared.stream, [] { return Streams::single(); });
      place.kernels = shared_or_made(shared.kernels, [&] { return queue_on(*place.streams); });
      break;
    case Seating::Partitioned: {
      const auto parts = shared_or_made(shared.parts[seat.partitions], [&] {
        return std::make_shared<GreenContexts>(seat.ordinal, seat.partitions);
      });
      multiprocessors = parts->multiprocessors(seat.partition);
      options.multiprocessors = multiprocessors;
      place.streams = Streams::of_partition(parts, seat.partition, streams_mutex_);
      place.kernels = queue_on(*place.streams);
      break;
    }
  }
  place.description = describe(seat, multiprocessors);
  return place;
}

std::unique_ptr<Device> CudaEngine::open(Communicator& host, const SeatOptions& seat) {
  if (seat.ordinal < 0 || seat.ordinal >= count_) {
    throw Error("device " + std::to_string(seat.ordinal) + " of " + std::to_string(count_));
  }
  const auto make_world = [&](CudaDevice& device) -> std::unique_ptr<Communicator> {
    if (seat.seating == Seating::OneEach) {
      return std::make_unique<NcclSeat>(device, host, seat.communicate_alone);
    }
    if (seat.seating == Seating::Alone) {
      return std::make_unique<Lone>(host.rank(), host.size(), host);
    }
    return std::make_unique<LocalSeat>(device, host, device.mail(), Queue::Compute);
  };
  return std::make_unique<CudaDevice>(place_of(seat), host, make_world);
}

}  // namespace meshplan::runtime::cuda

extern "C" __attribute__((visibility("default"))) meshplan::runtime::Engine* meshplan_gpu_engine(
    char* reason, std::size_t size) noexcept {
  try {
    return new meshplan::runtime::cuda::CudaEngine;
  } catch (const std::exception& error) {
    std::strncpy(reason, error.what(), size - 1);
    reason[size - 1] = '\0';
  } catch (...) {
    std::strncpy(reason, "something unknown was thrown", size - 1);
  }
  return nullptr;
}
