// CUDA's runtime: memory, of devices and of the host.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "machine.h"

using namespace meshplan::played;

namespace {

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

}  // namespace

namespace meshplan::played {

void require_memory(const char* call, const void* memory, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return;
  const std::optional<Block> block = holder(memory, bytes);
  if (!block) {
    report(std::string(call) + ": memory that is not allocated, or beyond its end");
  } else if (block->device != device_of(stream)) {
    report(std::string(call) + ": memory of another device than the stream's");
  }
}

}  // namespace meshplan::played

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
