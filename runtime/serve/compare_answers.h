#pragma once
#include <optional>
#include <vector>

#include "runtime/serve/stage_pass.h"

namespace meshplan::runtime {

/// Where an answer first leaves the one expected: another token, or the same with another logit.
struct AnswerDifference {
  int request = 0, token = 0;  ///< counted from 0
  GeneratedToken expected, found;
};

struct AnswerComparison {
  std::int64_t tokens = 0;  ///< that agree
  /// Of their logits: |found / expected - 1|, the largest.
  double logit_difference = 0;
  /// Answers that part where two words are as good as each other: the expected logits of both are
  /// within the tolerance, so that the order of sums decides. Nothing can be compared after that.
  int near_ties = 0;
  std::optional<AnswerDifference> difference;  ///< the first that is none
};

/// Answers by request, token by token. `tolerance`: of logits, relative.
AnswerComparison compare_answers(const std::vector<std::vector<GeneratedToken>>& expected,
                                 const std::vector<std::vector<GeneratedToken>>& found,
                                 double tolerance);

}  // namespace meshplan::runtime
