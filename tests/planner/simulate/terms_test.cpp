#include "planner/simulate/terms.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "planner/simulate/simulate.h"
#include "profiles/input_error.h"
#include "tests/planner/simulate/uniform_costs.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

Span span(int rank, Stream stream, Term term, double start, double end, int step = 0,
          int instruction = 0) {
  return {rank, instruction, step, stream, term, Seconds{start}, Seconds{end}};
}

TEST(TermsOf, EachInstantGoesToTheFirstTermThatMatches) {
  // compute      2----5
  // tp             4------7        (beside compute until 5)
  // dp                  6------9
  // transfer    1----------------11
  // overhead                   8--------12
  const std::vector spans = {
      span(0, Stream::Compute, Term::Compute, 2, 5),
      span(0, Stream::Compute, Term::TensorParallel, 4, 7),
      span(0, Stream::Compute, Term::Overhead, 8, 12),
      span(0, Stream::PipelineForward, Term::PipelineTransfer, 1, 11),
      span(0, Stream::DataParallel, Term::DataParallel, 6, 9),
  };
  const Terms terms = terms_of(spans, {Seconds{0}, Seconds{15}});
  EXPECT_EQ(terms.compute, Seconds{3});
  EXPECT_EQ(terms.tp, Seconds{2});        // 5-7
  EXPECT_EQ(terms.dp, Seconds{2});        // 7-9
  EXPECT_EQ(terms.pp, Seconds{1 + 2});    // 1-2, 9-11
  EXPECT_EQ(terms.overhead, Seconds{1});  // 11-12
  EXPECT_EQ(terms.bubble, Seconds{1 + 3});
  EXPECT_EQ(terms.sum(), Seconds{15});
}

TEST(TermsOf, TransfersOfOneStreamMayOverlap) {
  const std::vector spans = {span(0, Stream::PipelineForward, Term::PipelineTransfer, 0, 6),
                             span(0, Stream::PipelineForward, Term::PipelineTransfer, 2, 3),
                             span(0, Stream::PipelineForward, Term::PipelineTransfer, 5, 8)};
  EXPECT_EQ(terms_of(spans, {Seconds{1}, Seconds{10}}).pp, Seconds{7});
  EXPECT_EQ(terms_of(spans, {Seconds{1}, Seconds{10}}).bubble, Seconds{2});
}

TEST(TermsOf, NothingRecordedIsAllBubble) {
  EXPECT_EQ(terms_of(std::span<const Span>{}, {Seconds{1}, Seconds{4}}).bubble, Seconds{3});
}

// A measured timeline has spans only: the period is from the first work of a step to that of the
// next, and the rank with the longest one speaks.
TEST(StepTerms, ReadsMeasuredTimelines) {
  Timeline measured{.ranks = 2, .steps = 2, .spans = {}, .step_starts = {}};
  measured.spans = {span(0, Stream::Compute, Term::Compute, 1, 3, 0),
                    span(0, Stream::Compute, Term::Compute, 6, 8, 1),
                    span(1, Stream::Compute, Term::Compute, 2, 5, 0),
                    span(1, Stream::Compute, Term::Compute, 8, 11, 1)};
  const StepTerms first = step_terms(measured, 0);
  EXPECT_EQ(first.rank, 1);  // 6 against 5
  EXPECT_EQ(first.step, Seconds{6});
  EXPECT_EQ(first.terms.compute, Seconds{3});
  EXPECT_EQ(first.terms.bubble, Seconds{3});
  EXPECT_EQ(step_terms(measured).step, Seconds{3});  // the last step ends with its last span
  EXPECT_THROW(step_terms(measured, 2), profiles::InputError);
}

TEST(StepTerms, LowestRankStandsForTies) {
  EXPECT_EQ(slowest_rank(std::vector{Seconds{3}, Seconds{3}, Seconds{2}}), 0);
  EXPECT_EQ(slowest_rank(std::vector{Seconds{1}, Seconds{3}, Seconds{3 * (1 + 1e-12)}}), 1);
}

// Two stages, forward 3, backward 4, hop 1 + 1: F0 0-3, hop 3-5, F1 5-8, B1 8-12, hop 12-14, B0
// 14-18. Stage 0 idles 3-14, of that 2 + 2 while data moves; stage 1 idles 0-5 and 12-18.
TEST(BubblesOf, WaitingAndTransferApart) {
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 1);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {3, 4, 0}, 1, 1));
  const auto bubbles = bubbles_of(timeline, 0);
  ASSERT_EQ(bubbles.size(), 2u);
  EXPECT_EQ(bubbles[0].transfer, Seconds{4});
  EXPECT_EQ(bubbles[0].waiting, Seconds{7});
  EXPECT_EQ(bubbles[1].transfer, Seconds{4});
  EXPECT_EQ(bubbles[1].waiting, Seconds{7});
}

}  // namespace
}  // namespace meshplan::planner
