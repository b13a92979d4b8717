#include "runtime/measure/measuring_core.h"

namespace meshplan::runtime {

std::vector<float> ordinary_numbers(std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(static_cast<double>(i % 251) / 251.0 - 0.5);
  }
  return out;
}

float* ColdMemory::take(std::int64_t count) {
  const auto size = static_cast<std::int64_t>(block_.size());
  if (next_ + count > size) next_ = 0;
  float* const out = block_.data() + next_;
  constexpr std::int64_t kAlignment = 16;
  next_ += (count + kAlignment - 1) / kAlignment * kAlignment;
  return out;
}

}  // namespace meshplan::runtime
