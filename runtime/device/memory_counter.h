#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "profiles/units.h"

namespace meshplan::runtime {

/// What a tensor is for; the terms that the memory model of the planner predicts.
enum class MemoryTerm : std::uint8_t {
  Weights,
  Gradients,
  Optimizer,
  Activations,    ///< kept from forward to backward, or until the weight gradient
  Workspace,      ///< transient of one instruction
  Communication,  ///< gathered inputs, boundary tensors under way
};
constexpr int kMemoryTerms = 6;

/// "weights", "gradients", ...
std::string_view name(MemoryTerm term);

/// Live bytes by term.
struct MemoryUse {
  std::array<profiles::Bytes, kMemoryTerms> by_term{};
  [[nodiscard]] profiles::Bytes operator[](MemoryTerm term) const {
    return by_term[static_cast<std::size_t>(term)];
  }
  [[nodiscard]] profiles::Bytes total() const;
  friend bool operator==(const MemoryUse&, const MemoryUse&) = default;
};

/// Counts what is allocated: now, and at the moment when the total was greatest.
class MemoryCounter {
 public:
  void take(profiles::Bytes size, MemoryTerm term);
  void give_back(profiles::Bytes size, MemoryTerm term);

  [[nodiscard]] const MemoryUse& now() const { return now_; }
  /// The breakdown at the first moment of the greatest total.
  [[nodiscard]] const MemoryUse& peak() const { return peak_; }
  /// Each term's own greatest value, not all at one moment.
  [[nodiscard]] const MemoryUse& term_peaks() const { return term_peaks_; }
  /// Forgets the peaks, for instance after warm-up.
  void restart_peak();

 private:
  MemoryUse now_, peak_, term_peaks_;
  profiles::Bytes total_{}, peak_total_{};
};

}  // namespace meshplan::runtime
