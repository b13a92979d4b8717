#pragma once
#include <functional>
#include <span>
#include <string>

#include "kernels/operation.h"
#include "tests/kernels/arena.h"

namespace meshplan::kernels::testing {

/// Lays out an operation's arguments in an arena; called once for each back end that is compared.
using Build = std::function<Operation(Arena&)>;

/// Compares a back end with the reference on one case; `what` names it.
using Expect = std::function<void(const std::string& what, const Build&)>;

/// The cases of an operation, forward and backward, that every back end must pass: sizes that fit
/// no vector, fp32 and bf16, the tolerances of the contracts.
struct CaseTable {
  const char* operation;
  void (*visit)(const Expect&);
};

/// All but attention.
std::span<const CaseTable> operation_cases();

/// `bf16_rounding`: how far, relative to the largest |v| or gradient, a back end may be off that
/// rounds the probabilities to bf16 before it multiplies by them; 0 for one that keeps fp32.
struct AttentionCaseTable {
  const char* operation;
  void (*visit)(const Expect&, double bf16_rounding);
};
std::span<const AttentionCaseTable> attention_cases();

}  // namespace meshplan::kernels::testing
