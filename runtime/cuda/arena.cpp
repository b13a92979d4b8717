#include "runtime/cuda/arena.h"

#include <iterator>
#include <stdexcept>

namespace meshplan::runtime::cuda {
namespace {

constexpr std::int64_t rounded_up(std::int64_t size, std::int64_t to) {
  return (size + to - 1) / to * to;
}

}  // namespace

void Arena::set_free(Stretches::iterator at, bool free) {
  at->second.free = free;
  if (free) {
    free_.insert({at->second.size, at->first});
  } else {
    free_.erase({at->second.size, at->first});
  }
}

void Arena::add_block(std::int64_t size) {
  size = rounded_up(size, kBlock);
  char* const block = static_cast<char*>(grow_({size}));
  const auto [at, added] = stretches_.insert({block, {size, true, true}});
  if (!added) throw std::logic_error("arena: a block that it has already");
  free_.insert({size, block});
  reserved_ += {size};
}

void* Arena::allocate(profiles::Bytes size) {
  const std::int64_t want = rounded_up(std::max<std::int64_t>(size.count, 1), kGrain);
  auto fit = free_.lower_bound({want, nullptr});
  if (fit == free_.end()) {
    add_block(want);
    fit = free_.lower_bound({want, nullptr});
  }
  const auto at = stretches_.find(fit->second);
  set_free(at, false);
  if (const std::int64_t rest = at->second.size - want; rest > 0) {
    at->second.size = want;
    const auto tail = stretches_.insert({at->first + want, {rest, false, false}}).first;
    set_free(tail, true);
  }
  live_ += {want};
  return at->first;
}

void Arena::release(void* memory) {
  auto at = stretches_.find(static_cast<char*>(memory));
  if (at == stretches_.end() || at->second.free) {
    throw std::logic_error("arena: release of what was not allocated");
  }
  live_ -= {at->second.size};
  if (const auto next = std::next(at);
      next != stretches_.end() && next->second.free && !next->second.first) {
    set_free(next, false);
    at->second.size += next->second.size;
    stretches_.erase(next);
  }
  if (at != stretches_.begin() && !at->second.first) {
    const auto before = std::prev(at);
    if (before->second.free) {
      set_free(before, false);
      before->second.size += at->second.size;
      stretches_.erase(at);
      at = before;
    }
  }
  set_free(at, true);
}

profiles::Bytes Arena::largest_free() const { return {free_.empty() ? 0 : free_.rbegin()->first}; }

}  // namespace meshplan::runtime::cuda
