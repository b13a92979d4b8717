#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/check/baseline.h"

namespace meshplan::planner {

/// What became of one figure. Only Worse and Unknown fail the gate.
enum class Verdict {
  Same,
  Changed,  ///< another layout, another sign of an error; no worse within the tolerance
  Better,
  Worse,
  Unknown,  ///< the baseline does not have it: nothing to hold it against
  Gone,     ///< the suite does not ask for it any more
};
std::string_view name(Verdict verdict);

enum class Figure { BestStep, TimeError, MemoryError, SaidToRun };
std::string_view name(Figure figure);

/// One figure of a question or a recorded run, then and now.
struct Finding {
  std::string suite_part;  ///< "questions", or the name of the recorded cases
  std::string subject;     ///< the question, the run
  Figure figure = Figure::BestStep;
  std::optional<double> was, is;      ///< seconds, a relative error, or 1 and 0 for right and wrong
  std::string was_layout, is_layout;  ///< of questions
  Verdict verdict = Verdict::Same;
  std::string why;  ///< in words, where the figures do not say it

  [[nodiscard]] bool fails() const {
    return verdict == Verdict::Worse || verdict == Verdict::Unknown;
  }
};

/// Holds `is` against `was`, figure by figure in the order of the suite.
///
/// The best plan of a question is worse when nothing fits any more, when its step grew beyond the
/// question's tolerance, or when the plan of the baseline, predicted today, is faster than what the
/// search finds today: then the search has lost it. A recorded run is worse when the size of an
/// error grew beyond the tolerance, when it is predicted no more, or when the verdict whether it
/// runs turned wrong.
std::vector<Finding> compare(const Suite& suite, const Baseline& was, const Baseline& is);

}  // namespace meshplan::planner
