#include "planner/check/compare.h"

#include <fmt/format.h>

#include <cmath>

#include "planner/layout/legality.h"
#include "planner/predict.h"
#include "profiles/number_format.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// What the layout would take today; none if it is illegal or does not fit.
std::optional<Seconds> step_today(const Problem& problem, const std::string& layout_text) {
  const Layout layout = layout_from_text(layout_text);
  if (broken_rule(layout, problem.model, problem.workload, problem.cluster.devices())) {
    return std::nullopt;
  }
  PriceBook book(problem);
  const Plan plan = predict(book, layout);
  if (!plan.fits) return std::nullopt;
  return plan.prediction.step;
}

Verdict compared(double was, double is, double tolerance) {
  if (is > was + tolerance) return Verdict::Worse;
  if (is < was - tolerance) return Verdict::Better;
  return Verdict::Same;
}

Finding held_question(const Question& question, const std::optional<BestPlan>& was,
                      const std::optional<BestPlan>& is) {
  Finding out{.suite_part = "questions", .subject = question.name};
  if (was) {
    out.was = was->step.count();
    out.was_layout = was->layout;
  }
  if (is) {
    out.is = is->step.count();
    out.is_layout = is->layout;
  }
  if (!was || !is) {
    out.verdict = was ? Verdict::Worse : is ? Verdict::Better : Verdict::Same;
    if (was) out.why = "nothing fits any more";
    if (is) out.why = "something fits now";
    return out;
  }
  out.verdict = compared(*out.was, *out.is, question.tolerance * *out.was);
  constexpr double kRounding = 1 - 1e-9;
  const auto of_old_plan =
      was->layout == is->layout ? std::nullopt : step_today(question.problem, was->layout);
  if (of_old_plan && *of_old_plan < kRounding * is->step) {
    out.verdict = Verdict::Worse;
    out.why = fmt::format("{} is predicted at {} and was not found", was->layout,
                          profiles::human(*of_old_plan));
  } else if (was->layout != is->layout) {
    if (out.verdict == Verdict::Same) out.verdict = Verdict::Changed;
    out.why = fmt::format("{} instead of {}", is->layout, was->layout);
  }
  return out;
}

/// `held` with what became of an error.
void judge_error(std::optional<double> was, std::optional<double> is, double tolerance,
                 Finding& held) {
  held.was = was;
  held.is = is;
  if (was && is) {
    held.verdict = compared(std::abs(*was), std::abs(*is), tolerance);
    const bool other_side = held.verdict == Verdict::Same && std::abs(*is - *was) > tolerance;
    if (other_side) held.verdict = Verdict::Changed;
  } else {
    held.verdict = was ? Verdict::Worse : Verdict::Better;
    held.why = was ? "predicted no more" : "predicted now";
  }
}

void hold_run(const RecordedCases& cases, const std::string& id, const RunErrors& was,
              const RunErrors& is, std::vector<Finding>& out) {
  Finding held{.suite_part = cases.name, .subject = id};
  const auto hold_error = [&](Figure figure, std::optional<double> before,
                              std::optional<double> now) {
    if (!before && !now) return;
    Finding error = held;
    error.figure = figure;
    judge_error(before, now, cases.tolerance, error);
    out.push_back(error);
  };
  hold_error(Figure::TimeError, was.time, is.time);
  hold_error(Figure::MemoryError, was.memory, is.memory);
  held.figure = Figure::SaidToRun;
  held.was = was.right() ? 1 : 0;
  held.is = is.right() ? 1 : 0;
  held.verdict = was.right() == is.right() ? Verdict::Same
                 : is.right()              ? Verdict::Better
                                           : Verdict::Worse;
  if (held.verdict != Verdict::Same) {
    held.why = fmt::format("{}, and is predicted {}", is.ran ? "ran" : "failed",
                           is.said_to_run.value_or(false) ? "to run" : "not to run");
  }
  out.push_back(held);
}

Finding unknown(const std::string& part, const std::string& subject, Figure figure,
                std::optional<double> is) {
  return {.suite_part = part,
          .subject = subject,
          .figure = figure,
          .is = is,
          .verdict = Verdict::Unknown,
          .why = "not in the baseline; --update takes it up"};
}

Finding gone(const std::string& part, const std::string& subject, Figure figure,
             std::optional<double> was) {
  return {.suite_part = part,
          .subject = subject,
          .figure = figure,
          .was = was,
          .verdict = Verdict::Gone,
          .why = "asked no more"};
}

void compare_questions(const Suite& suite, const Baseline& was, const Baseline& is,
                       std::vector<Finding>& out) {
  for (const Question& question : suite.questions) {
    const auto& now = is.questions.at(question.name);
    const auto before = was.questions.find(question.name);
    if (before != was.questions.end()) {
      out.push_back(held_question(question, before->second, now));
      continue;
    }
    out.push_back(unknown("questions", question.name, Figure::BestStep,
                          now ? std::optional(now->step.count()) : std::nullopt));
    if (now) out.back().is_layout = now->layout;
  }
  for (const auto& [name, best] : was.questions) {
    if (is.questions.contains(name)) continue;
    out.push_back(gone("questions", name, Figure::BestStep,
                       best ? std::optional(best->step.count()) : std::nullopt));
  }
}

void compare_recorded(const Suite& suite, const Baseline& was, const Baseline& is,
                      std::vector<Finding>& out) {
  const auto runs_of = [](const Baseline& baseline, const std::string& name) {
    const auto at = baseline.recorded.find(name);
    return at == baseline.recorded.end() ? std::map<std::string, RunErrors>{} : at->second;
  };
  for (const RecordedCases& cases : suite.recorded) {
    const auto before = runs_of(was, cases.name);
    const auto now = runs_of(is, cases.name);
    for (const RecordedRun& run : cases.runs) {
      const auto then = before.find(run.id);
      if (then == before.end()) {
        out.push_back(unknown(cases.name, run.id, Figure::TimeError, now.at(run.id).time));
      } else {
        hold_run(cases, run.id, then->second, now.at(run.id), out);
      }
    }
  }
  for (const auto& [name, runs] : was.recorded) {
    const auto now = runs_of(is, name);
    for (const auto& [id, errors] : runs) {
      if (!now.contains(id)) out.push_back(gone(name, id, Figure::TimeError, errors.time));
    }
  }
}

}  // namespace

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::Same:
      return "same";
    case Verdict::Changed:
      return "changed";
    case Verdict::Better:
      return "better";
    case Verdict::Worse:
      return "worse";
    case Verdict::Unknown:
      return "unknown";
    case Verdict::Gone:
      return "gone";
  }
  return "";
}

std::string_view name(Figure figure) {
  switch (figure) {
    case Figure::BestStep:
      return "best step";
    case Figure::TimeError:
      return "time error";
    case Figure::MemoryError:
      return "memory error";
    case Figure::SaidToRun:
      return "runs or not";
  }
  return "";
}

std::vector<Finding> compare(const Suite& suite, const Baseline& was, const Baseline& is) {
  std::vector<Finding> out;
  compare_questions(suite, was, is, out);
  compare_recorded(suite, was, is, out);
  return out;
}

}  // namespace meshplan::planner
