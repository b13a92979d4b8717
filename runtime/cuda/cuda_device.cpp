#include "runtime/cuda/cuda_device.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <thread>

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {
namespace {

using profiles::Bytes;
using profiles::Seconds;

/// Blocks of one size that are kept in reserve before one is used again early.
constexpr std::size_t kReserve = 2;
/// Sends of one rank whose tensors are held until the transfer is done.
constexpr std::size_t kKept = 2;

Seconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

Bytes free_memory() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {static_cast<std::int64_t>(free)};
}

}  // namespace

CudaDevice::CudaDevice(RankPlace place, Communicator& host, const MakeWorld& make_world)
    : place_(std::move(place)),
      host_(host),
      arena_([this](Bytes size) {
        blocks_.push_back(device_memory(size));
        return blocks_.back().get();
      }),
      clock_(place_.epoch) {
  world_ = make_world(*this);
}

CudaDevice::~CudaDevice() {
  kept_.clear();
  world_.reset();
  // Without a word on failure: the device may be the reason why this goes.
  for (int q = 0; q < kQueues; ++q) cudaStreamSynchronize(stream(static_cast<Queue>(q)));
  // Other virtual ranks read tensors of this one, and may not know yet that it is going.
  if (std::uncaught_exceptions() == 0 || place_.mail == nullptr) return;
  for (DeviceMemory& block : blocks_) place_.mail->inherit(std::move(block));
  for (auto& [address, block] : apart_) place_.mail->inherit(std::move(block));
}

void* CudaDevice::allocate(Bytes size, MemoryTerm term, Queue first_user) {
  void* const memory =
      first_user == Queue::Compute ? arena_.allocate(size) : allocate_apart(size, first_user);
  counter_.take(size, term);
  return memory;
}

void* CudaDevice::allocate_apart(Bytes size, Queue first_user) {
  std::deque<Apart>& idle = idle_[size.count];
  if (!idle.empty() && (idle.size() > kReserve || clock_.passed(idle.front().released))) {
    const Apart block = idle.front();
    idle.pop_front();
    order(block.released, first_user);
    return block.memory;
  }
  DeviceMemory block = device_memory(size);
  void* const memory = block.get();
  apart_[memory] = std::move(block);
  return memory;
}

void CudaDevice::release(void* memory, Bytes size, MemoryTerm term) {
  counter_.give_back(size, term);
  if (!apart_.contains(memory)) return arena_.release(memory);
  try {
    idle_[size.count].push_back({memory, clock_.record(stream(Queue::Compute))});
  } catch (const Error&) {
    // A device that has failed: called by destructors, and the next call says so anyway.
  }
}

void CudaDevice::keep(std::shared_ptr<const void> owner, Moment moment) {
  kept_.emplace_back(std::move(owner), moment);
  while (!kept_.empty() && (kept_.size() > kKept || clock_.passed(kept_.front().second))) {
    order(kept_.front().second, Queue::Compute);
    kept_.pop_front();
  }
}

FixedMemory CudaDevice::fixed_memory() const {
  return {place_.context, {place_.kernels->held_bytes()}, communicators_, arena_.reserved()};
}

void CudaDevice::launch(const kernels::Operation& operation) {
  kernels::cuda::launch(*place_.kernels, operation);
}

void CudaDevice::upload(std::span<const std::byte> host, void* memory) {
  staging_.upload(host, memory, stream(Queue::Compute));
}

void CudaDevice::download(const void* memory, std::span<std::byte> host) {
  for (std::size_t at = 0; at < host.size(); at += Staging::kSlot) {
    const std::size_t size = std::min(Staging::kSlot, host.size() - at);
    const auto there = staging_.begin_download(static_cast<const std::byte*>(memory) + at, size,
                                               stream(Queue::Compute));
    wait_for(Queue::Compute, "a download");
    std::memcpy(host.data() + at, there.data(), size);
  }
}

void CudaDevice::wait() {
  for (int q = 0; q < kQueues; ++q) wait_for(static_cast<Queue>(q), "its device");
}

Moment CudaDevice::record(Queue queue) { return clock_.record(stream(queue)); }

void CudaDevice::order(Moment moment, Queue queue) { clock_.order(moment, stream(queue)); }

void CudaDevice::wait_for(Queue queue, const char* where) {
  poll(where, [waited = stream(queue)] {
    const cudaError_t status = cudaStreamQuery(waited);
    if (status == cudaErrorNotReady) return false;
    check(status, "the work of a stream");
    return true;
  });
}

void CudaDevice::poll(const std::string& where, const std::function<bool()>& done) {
  constexpr Seconds kSpin{200e-6};
  constexpr Seconds kGlance{20e-3};
  const Seconds begin = now();
  Seconds looked = begin;
  while (!done()) {
    const Seconds time = now();
    if (time - begin > kSpin) std::this_thread::sleep_for(std::chrono::microseconds(20));
    if (time - looked < kGlance) continue;
    looked = time;
    host_.look_for_failure();
    if (time - begin > place_.timeout) {
      host_.fail("rank " + std::to_string(host_.rank()) + " waited " +
                 std::to_string(place_.timeout.count()) + " s for " + where);
      host_.look_for_failure();
      throw Error("waited too long for " + where);
    }
  }
}

void CudaDevice::measure_communicator(const std::function<void()>& work) {
  const Bytes before = free_memory();
  work();
  communicators_ += Bytes{std::max<std::int64_t>(0, (before - free_memory()).count)};
}

}  // namespace meshplan::runtime::cuda
