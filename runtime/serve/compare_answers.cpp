#include "runtime/serve/compare_answers.h"

#include <algorithm>
#include <cmath>

namespace meshplan::runtime {
namespace {

double relative(double difference, double logit) { return std::abs(difference / logit); }

}  // namespace

AnswerComparison compare_answers(const std::vector<std::vector<GeneratedToken>>& expected,
                                 const std::vector<std::vector<GeneratedToken>>& found,
                                 double tolerance) {
  AnswerComparison out;
  for (std::size_t r = 0; r < expected.size(); ++r) {
    for (std::size_t t = 0; t < std::max(expected[r].size(), found.at(r).size()); ++t) {
      const AnswerDifference here{static_cast<int>(r), static_cast<int>(t),
                                  t < expected[r].size() ? expected[r][t] : GeneratedToken{-1},
                                  t < found[r].size() ? found[r][t] : GeneratedToken{-1}};
      const GeneratedToken& e = here.expected;
      const GeneratedToken& f = here.found;
      if (e.token == f.token) {
        const double off = relative(double{f.logit} - e.logit, e.logit);
        out.logit_difference = std::max(out.logit_difference, off);
        if (off <= tolerance) {
          ++out.tokens;
          continue;
        }
      }
      const bool tie = e.token != f.token && f.token == e.runner_up &&
                       relative(double{e.logit} - e.runner_up_logit, e.logit) <= tolerance;
      if (tie) {
        ++out.near_ties;
        break;
      }
      out.difference = here;
      return out;
    }
  }
  return out;
}

}  // namespace meshplan::runtime
