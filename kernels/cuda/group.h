#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/cuda/vector_access.h"

// A kernel is a struct whose operator()(Group<kLanes>&) works as kLanes threads do together: steps
// that every lane takes for itself (each), and sums over them (reduce, exchange) between the steps.
// What a lane carries from step to step is its PerLane state. On the device a lane is a thread, and
// 32 lanes a warp; on the host a loop plays the lanes one after the other, in the same order of
// additions. What a lane writes to memory, another may read only after a reduce or an exchange:
// these alone make lanes wait for each other.

namespace meshplan::kernels::cuda {

/// Groups of 32 lanes are warps, several a block; larger ones are a block each.
constexpr int threads_of_block(int lanes) { return lanes == 32 ? 256 : lanes; }

#if defined(__CUDACC__)

template <int kLanes>
class Group {
 public:
  static constexpr int lanes = kLanes;
  template <class State>
  struct PerLane {
    State value;
  };

  /// Which group of the grid, and how many there are.
  __device__ __forceinline__ std::uint32_t index() const {
    return blockIdx.x * kGroupsOfBlock + threadIdx.x / kLanes;
  }
  __device__ __forceinline__ std::uint32_t count() const { return gridDim.x * kGroupsOfBlock; }

  template <class State, class Visit>
  __device__ __forceinline__ void each(PerLane<State>& state, Visit visit) {
    visit(lane(), state.value);
  }
  template <class Visit>
  __device__ __forceinline__ void each(Visit visit) {
    visit(lane());
  }

  /// combine over get(state) of all lanes, known to all. `combine` is commutative.
  template <class State, class Get, class Combine>
  __device__ __forceinline__ auto reduce(PerLane<State>& state, Get get, Combine combine) {
    auto value = get(state.value);
    using Value = decltype(value);
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
      value = combine(value, exchanged(value, distance));
    if constexpr (kLanes > 32) {
      __shared__ alignas(16) unsigned char memory[kLanes / 32 * sizeof(Value)];
      Value* of_warp = reinterpret_cast<Value*>(memory);
      if (lane() % 32 == 0) of_warp[lane() / 32] = value;
      __syncthreads();
      value = of_warp[0];
#pragma unroll
      for (int warp = 1; warp < kLanes / 32; ++warp) value = combine(value, of_warp[warp]);
      __syncthreads();
    }
    return value;
  }

  /// put(state, total) with the sum of get(state) over the lanes of the same segment of `size`
  /// neighbours, a power of two up to 32.
  template <class State, class Get, class Put>
  __device__ __forceinline__ void sum_segments(PerLane<State>& state, int size, Get get, Put put) {
    float total = get(state.value);
    for (int distance = size / 2; distance > 0; distance /= 2)
      total += __shfl_xor_sync(0xFFFFFFFFU, total, distance);
    put(state.value, total);
  }

  /// visit(lane, state, all) with all[i] = get(state of lane i), a float.
  template <class State, class Get, class Visit>
  __device__ __forceinline__ void exchange(PerLane<State>& state, Get get, Visit visit) {
    static_assert(kLanes > 32, "warps of a block may not wait for each other");
    __shared__ float all[kLanes];
    all[lane()] = get(state.value);
    __syncthreads();
    visit(lane(), state.value, static_cast<const float*>(all));
    __syncthreads();
  }

 private:
  static constexpr int kGroupsOfBlock = threads_of_block(kLanes) / kLanes;

  __device__ __forceinline__ static int lane() { return static_cast<int>(threadIdx.x % kLanes); }

  template <class Value>
  __device__ __forceinline__ static Value exchanged(const Value& value, int distance) {
    static_assert(sizeof(Value) % 4 == 0);
    unsigned words[sizeof(Value) / 4];
    memcpy(words, &value, sizeof(Value));
#pragma unroll
    for (unsigned& word : words) word = __shfl_xor_sync(0xFFFFFFFFU, word, distance);
    Value other;
    memcpy(&other, words, sizeof(Value));
    return other;
  }
};

#else

template <int kLanes>
class Group {
 public:
  static constexpr int lanes = kLanes;
  template <class State>
  class PerLane {
   public:
    PerLane() : values_(kLanes) {}

   private:
    friend class Group;
    std::vector<State> values_;
  };

  Group(std::uint32_t index, std::uint32_t count) : index_(index), count_(count) {}

  std::uint32_t index() const { return index_; }
  std::uint32_t count() const { return count_; }

  template <class State, class Visit>
  void each(PerLane<State>& state, Visit visit) {
    for (int lane = 0; lane < kLanes; ++lane)
      visit(lane, state.values_[static_cast<std::size_t>(lane)]);
  }
  template <class Visit>
  void each(Visit visit) {
    for (int lane = 0; lane < kLanes; ++lane) visit(lane);
  }

  template <class State, class Get, class Combine>
  auto reduce(PerLane<State>& state, Get get, Combine combine) {
    using Value = decltype(get(state.values_[0]));
    std::array<Value, kLanes / 32> of_warp{};
    for (std::size_t warp = 0; warp < of_warp.size(); ++warp) {
      std::array<Value, 32> value{};
      for (std::size_t lane = 0; lane < 32; ++lane)
        value[lane] = get(state.values_[32 * warp + lane]);
      for (std::size_t distance = 16; distance > 0; distance /= 2) {
        const std::array<Value, 32> before = value;
        for (std::size_t lane = 0; lane < 32; ++lane)
          value[lane] = combine(before[lane], before[lane ^ distance]);
      }
      of_warp[warp] = value[0];
    }
    Value value = of_warp[0];
    for (std::size_t warp = 1; warp < of_warp.size(); ++warp) value = combine(value, of_warp[warp]);
    return value;
  }

  template <class State, class Get, class Put>
  void sum_segments(PerLane<State>& state, int size, Get get, Put put) {
    std::array<float, kLanes> totals{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) totals[lane] = get(state.values_[lane]);
    for (std::size_t distance = static_cast<std::size_t>(size) / 2; distance > 0; distance /= 2) {
      const std::array<float, kLanes> before = totals;
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        totals[lane] = before[lane] + before[lane ^ distance];
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) put(state.values_[lane], totals[lane]);
  }

  template <class State, class Get, class Visit>
  void exchange(PerLane<State>& state, Get get, Visit visit) {
    static_assert(kLanes > 32);
    std::array<float, kLanes> all{};
    for (std::size_t lane = 0; lane < all.size(); ++lane) all[lane] = get(state.values_[lane]);
    each(state, [&](int lane, State& s) { visit(lane, s, static_cast<const float*>(all.data())); });
  }

 private:
  std::uint32_t index_, count_;
};

#endif

/// reduce with +.
template <class G, class PerLane, class Get>
MESHPLAN_DEVICE auto sum(G& group, PerLane& state, Get get) {
  return group.reduce(state, get, [](const auto& a, const auto& b) { return a + b; });
}

}  // namespace meshplan::kernels::cuda
