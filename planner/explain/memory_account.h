#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "planner/explain/textbook_memory.h"
#include "planner/plan.h"
#include "planner/problem.h"

namespace meshplan::planner {

/// A term of a stage's memory.
struct MemoryTerm {
  std::string_view key;    ///< of JSON: "activations_bytes"
  std::string_view words;  ///< "activations"
  profiles::Bytes size;
};
/// All ten, in the order of StageMemory.
std::vector<MemoryTerm> memory_terms(const StageMemory& memory);

/// A textbook's estimate beside ours.
struct EstimateCheck {
  TextbookEstimate estimate;
  profiles::Bytes off;               ///< estimate - ours: negative where it promises too much
  std::vector<MemoryTerm> left_out;  ///< terms that the formula does not have, largest first
  std::string why;                   ///< one sentence: what makes it wrong here
};

/// Where the memory of the fullest stage goes, and why other estimates say something else.
struct MemoryAccount {
  int stage = 0;
  std::vector<MemoryTerm> terms;  ///< largest first
  profiles::Bytes peak, limit;
  std::vector<EstimateCheck> estimates;
  [[nodiscard]] bool fits() const { return peak <= limit; }
};

MemoryAccount memory_account(const Problem& problem, const Plan& plan);

}  // namespace meshplan::planner
