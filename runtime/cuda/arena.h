#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "profiles/units.h"

namespace meshplan::runtime::cuda {

/// Hands out stretches of large blocks of memory, which it never gives back: best fit, and
/// neighbours that are free join. Knows addresses only, so it is tested without a device.
class Arena {
 public:
  /// A new block of at least `size` bytes at a multiple of kGrain; throws std::bad_alloc.
  using Grow = std::function<void*(profiles::Bytes size)>;

  static constexpr std::int64_t kGrain = 512;                     ///< sizes and addresses
  static constexpr std::int64_t kBlock = std::int64_t{64} << 20;  ///< blocks are multiples of it

  explicit Arena(Grow grow) : grow_(std::move(grow)) {}

  /// At least `size` bytes; never null.
  void* allocate(profiles::Bytes size);
  /// What allocate() gave. Throws std::logic_error for anything else.
  void release(void* memory);

  /// Of all blocks, and of what is handed out (in whole grains).
  [[nodiscard]] profiles::Bytes reserved() const { return reserved_; }
  [[nodiscard]] profiles::Bytes live() const { return live_; }
  /// The longest stretch that is free.
  [[nodiscard]] profiles::Bytes largest_free() const;

 private:
  struct Stretch {
    std::int64_t size = 0;
    bool free = false;
    bool first = false;  ///< of its block: joins with nothing before it
  };
  using Stretches = std::map<char*, Stretch>;

  void add_block(std::int64_t size);
  void set_free(Stretches::iterator at, bool free);

  Grow grow_;
  Stretches stretches_;                            ///< by address
  std::set<std::pair<std::int64_t, char*>> free_;  ///< by size, then address
  profiles::Bytes reserved_, live_;
};

}  // namespace meshplan::runtime::cuda
