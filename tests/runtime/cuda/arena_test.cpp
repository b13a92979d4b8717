#include "runtime/cuda/arena.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <new>
#include <vector>

namespace meshplan::runtime::cuda {
namespace {

using profiles::Bytes;

/// Addresses that stand for memory, a gap between blocks.
class Addresses {
 public:
  void* operator()(Bytes size) {
    void* const block = reinterpret_cast<void*>(next_);
    next_ += static_cast<std::uintptr_t>(size.count) + 4096;
    return block;
  }

 private:
  std::uintptr_t next_ = 1 << 20;
};

TEST(Arena, HandsOutTheSameMemoryAgain) {
  Arena arena{Addresses()};
  void* const a = arena.allocate({1000});
  arena.release(a);
  EXPECT_EQ(arena.allocate({1000}), a);
}

TEST(Arena, TakesTheTightestStretchAndJoinsNeighbours) {
  Arena arena{Addresses()};
  void* const a = arena.allocate({10 * 512});
  void* const wall = arena.allocate({512});
  void* const b = arena.allocate({4 * 512});
  void* const wall2 = arena.allocate({512});
  arena.release(a);
  arena.release(b);
  // 4 grains fit b exactly, though a (10 grains) lies first.
  EXPECT_EQ(arena.allocate({4 * 512}), b);
  arena.release(b);
  arena.release(wall);
  arena.release(wall2);
  // 10 + 1 + 4 + 1 grains and the rest of the block are one again.
  EXPECT_EQ(arena.largest_free(), Bytes{Arena::kBlock});
  EXPECT_EQ(arena.live(), Bytes{0});
}

TEST(Arena, GrowsByWholeBlocksAndDoesNotJoinAcrossThem) {
  Arena arena{Addresses()};
  void* const small = arena.allocate({512});
  void* const large = arena.allocate({Arena::kBlock + 1});
  EXPECT_EQ(arena.reserved(), Bytes{3 * Arena::kBlock});  // one, and two for the large
  arena.release(small);
  arena.release(large);
  EXPECT_EQ(arena.largest_free(), Bytes{2 * Arena::kBlock});
}

TEST(Arena, RefusesWhatItDidNotGive) {
  Arena arena{Addresses()};
  int elsewhere = 0;
  EXPECT_THROW(arena.release(&elsewhere), std::logic_error);
  void* const a = arena.allocate({1});
  arena.release(a);
  EXPECT_THROW(arena.release(a), std::logic_error);
}

TEST(Arena, PassesOnThatThereIsNoMore) {
  Arena arena{[](Bytes) -> void* { throw std::bad_alloc(); }};
  EXPECT_THROW(arena.allocate({1}), std::bad_alloc);
  EXPECT_EQ(arena.live(), Bytes{0});
}

TEST(Arena, NeverHandsOutTheSameByteTwice) {
  EXPECT_TRUE(rc::check([] {
    Arena arena{Addresses()};
    std::map<char*, std::int64_t> live;
    std::int64_t bytes = 0;
    const auto steps = *rc::gen::container<std::vector<std::pair<bool, int>>>(
        rc::gen::pair(rc::gen::arbitrary<bool>(), rc::gen::inRange(0, 3'000'000)));
    for (const auto& [take, n] : steps) {
      if (take || live.empty()) {
        auto* const memory = static_cast<char*>(arena.allocate({n}));
        const std::int64_t size = (std::max(n, 1) + 511) / 512 * 512;
        const auto next = live.lower_bound(memory);
        if (next != live.end()) RC_ASSERT(memory + size <= next->first);
        if (next != live.begin())
          RC_ASSERT(std::prev(next)->first + std::prev(next)->second <= memory);
        live[memory] = size;
        bytes += size;
      } else {
        const auto at = std::next(live.begin(), n % static_cast<int>(live.size()));
        arena.release(at->first);
        bytes -= at->second;
        live.erase(at);
      }
      RC_ASSERT(arena.live() == Bytes{bytes});
      RC_ASSERT(arena.reserved() >= arena.live());
    }
  }));
}

}  // namespace
}  // namespace meshplan::runtime::cuda
