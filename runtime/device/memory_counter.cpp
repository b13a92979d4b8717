#include "runtime/device/memory_counter.h"

#include <algorithm>

namespace meshplan::runtime {

std::string_view name(MemoryTerm term) {
  constexpr std::array<std::string_view, kMemoryTerms> kNames = {
      "weights", "gradients", "optimizer", "activations", "workspace", "communication"};
  return kNames[static_cast<std::size_t>(term)];
}

profiles::Bytes MemoryUse::total() const {
  profiles::Bytes sum{};
  for (const profiles::Bytes term : by_term) sum += term;
  return sum;
}

void MemoryCounter::take(profiles::Bytes size, MemoryTerm term) {
  const auto t = static_cast<std::size_t>(term);
  now_.by_term[t] += size;
  total_ += size;
  term_peaks_.by_term[t] = std::max(term_peaks_.by_term[t], now_.by_term[t]);
  if (total_ > peak_total_) {
    peak_total_ = total_;
    peak_ = now_;
  }
}

void MemoryCounter::give_back(profiles::Bytes size, MemoryTerm term) {
  now_.by_term[static_cast<std::size_t>(term)] -= size;
  total_ -= size;
}

void MemoryCounter::restart_peak() {
  peak_ = now_;
  term_peaks_ = now_;
  peak_total_ = total_;
}

}  // namespace meshplan::runtime
