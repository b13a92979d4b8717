// What is drawn and written from a timeline: chart, trace, memory, summary.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "planner/simulate/gantt.h"
#include "planner/simulate/memory_over_time.h"
#include "planner/simulate/simulate.h"
#include "planner/simulate/summary.h"
#include "planner/simulate/trace.h"
#include "tests/planner/simulate/random_case.h"
#include "tests/planner/simulate/uniform_costs.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;

// The figure of the GPipe paper: four stages, four micro-batches, backward as long as forward; the
// micro-batches come back in reverse order.
TEST(Gantt, ReferencePictureOfGPipe) {
  const Schedule schedule = build_schedule(ScheduleKind::GPipe, 4, 1, 4);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {1, 1, 0}));
  EXPECT_EQ(gantt(schedule, timeline), R"(
rank 0 | F0,0 F0,1 F0,2 F0,3                               B0,3 B0,2 B0,1 B0,0
rank 1 |      F1,0 F1,1 F1,2 F1,3                     B1,3 B1,2 B1,1 B1,0
rank 2 |           F2,0 F2,1 F2,2 F2,3           B2,3 B2,2 B2,1 B2,0
rank 3 |                F3,0 F3,1 F3,2 F3,3 B3,3 B3,2 B3,1 B3,0
one cell = 1 s
)" + 1);
}

// F 1, B 2. Rank 1: F 1-2, B 2-4, F 4-5, B 5-7. Rank 0: F 0-1, 1-2, B 4-6, 7-9.
TEST(Gantt, LongerInstructionsAreFilledUp) {
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 2);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {1, 1, 1}));
  EXPECT_EQ(gantt(schedule, timeline), R"(
rank 0 | F0,0 F0,1           B0,0-----      B0,1-----
rank 1 |      F1,0 B1,0----- F1,1 B1,1-----
one cell = 1 s
)" + 1);
}

TEST(Gantt, ColourChangesNothingButColour) {
  const auto [schedule, costs] = random_case(3);
  const Timeline timeline = simulate(schedule, costs);
  std::string coloured = gantt(schedule, timeline, {.colour = true});
  EXPECT_NE(coloured.find("\x1b[34mF"), std::string::npos);
  for (std::size_t at; (at = coloured.find('\x1b')) != std::string::npos;)
    coloured.erase(at, coloured.find('m', at) - at + 1);
  EXPECT_EQ(coloured, gantt(schedule, timeline));
}

TEST(Gantt, StaysWithinItsWidth) {
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 200);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {1, 1, 1}));
  std::istringstream text(gantt(schedule, timeline, {.max_cells = 50}));
  for (std::string line; std::getline(text, line);) EXPECT_LT(line.size(), 50u * 8 + 20);
}

TEST(Gantt, AnEmptyStepSaysSo) {
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 2);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {0, 0, 0}));
  EXPECT_EQ(gantt(schedule, timeline), "nothing takes any time in this step\n");
}

// A trace read back: slices have the lengths of the spans, every arrow has both ends on different
// threads, nodes are processes, the highest counter is the peak.
TEST(Trace, ReadsBack) {
  for (const unsigned seed : {1u, 2u, 5u, 17u, 40u}) {
    const auto [schedule, costs] = random_case(seed);
    const Timeline timeline = simulate(schedule, costs);
    TraceOptions options;
    for (int rank = 0; rank < schedule.stages; ++rank) options.node_of_rank.push_back(rank / 2);
    options.resident.assign(schedule.stages, Bytes{1000});
    std::ostringstream text;
    write_trace(text, schedule, timeline, options);
    const auto trace = nlohmann::json::parse(text.str());

    std::size_t slices = 0;
    double compute = 0, expected_compute = 0;
    std::map<std::int64_t, std::vector<std::pair<int, std::string>>> arrows;
    std::map<int, double> last_end;  // by thread
    std::int64_t most = 0;
    for (const auto& event : trace.at("traceEvents")) {
      const std::string kind = event.at("ph");
      if (kind == "X") {
        ++slices;
        const int thread = event.at("tid");
        EXPECT_EQ(event.at("pid"), thread / 6 / 2);
        EXPECT_GE(event.at("ts").get<double>(), last_end[thread] - 1e-3) << "slices overlap";
        last_end[thread] = event.at("ts").get<double>() + event.at("dur").get<double>();
        if (event.at("cat") == "compute") compute += event.at("dur").get<double>() * 1e-6;
      } else if (kind == "s" || kind == "f") {
        arrows[event.at("id")].emplace_back(event.at("tid"), kind);
      } else if (kind == "C") {
        most = std::max(most, event.at("args").at("bytes").get<std::int64_t>());
      }
    }
    EXPECT_EQ(slices, timeline.spans.size());
    for (const Span& span : timeline.spans)
      if (span.term == Term::Compute) expected_compute += (span.end - span.start).count();
    EXPECT_NEAR(compute, expected_compute, 1e-6);
    for (const auto& [id, ends] : arrows) {
      ASSERT_EQ(ends.size(), 2u) << "arrow " << id;
      EXPECT_NE(ends[0].second, ends[1].second);
      EXPECT_NE(ends[0].first / 6, ends[1].first / 6) << "an arrow leaves its rank";
    }
    std::int64_t peak = 0;
    for (int rank = 0; rank < schedule.stages; ++rank)
      peak = std::max(peak, memory_over_time(schedule, timeline, rank, {1000}).peak.count);
    EXPECT_EQ(most, peak);
  }
}

/// Peak on each stage in micro-batches of a chunk, when each holds one byte from F to the end of W.
std::vector<std::int64_t> in_flight(ScheduleKind kind, int p, int v, int m) {
  ScheduleOptions options;
  options.chunks.resize(p * v);
  for (auto& facts : options.chunks) facts.activations = facts.until_weight_grad = {1};
  const Schedule schedule = build_schedule(kind, p, v, m, options);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {2, 2, 2}));
  std::vector<std::int64_t> peaks;
  for (int rank = 0; rank < p; ++rank)
    peaks.push_back(memory_over_time(schedule, timeline, rank).peak.count);
  return peaks;
}

// Micro-batches in flight: GPipe m; 1F1B min(m, p - i); interleaved min(mv, 2(p-1-i) + 1 + (v-1)p)
// chunks; ZB-H1 min(m, p) and ZB-H2 min(m, 2p - 1) on every stage; ZB-V p whole stages, 2p halves.
TEST(MemoryOverTime, ActivationsInFlight) {
  for (int p = 2; p <= 8; ++p)
    for (const int m : {1, p, 2 * p - 1, 3 * p}) {
      const auto gpipe = in_flight(ScheduleKind::GPipe, p, 1, m);
      const auto one_f_one_b = in_flight(ScheduleKind::OneFOneB, p, 1, m);
      for (int i = 0; i < p; ++i) {
        EXPECT_EQ(gpipe[i], m);
        EXPECT_EQ(one_f_one_b[i], std::min(m, p - i)) << "p " << p << " m " << m << " i " << i;
        if (m % p != 0) continue;
        EXPECT_EQ(in_flight(ScheduleKind::Interleaved, p, 2, m)[i],
                  std::min(2 * m, 2 * (p - 1 - i) + 1 + p));
      }
      if (m >= 2 * p - 1) {
        EXPECT_EQ(in_flight(ScheduleKind::ZbV, p, 2, m), std::vector<std::int64_t>(p, 2 * p));
        EXPECT_EQ(in_flight(ScheduleKind::ZbH1, p, 1, m), std::vector<std::int64_t>(p, p));
        EXPECT_EQ(in_flight(ScheduleKind::ZbH2, p, 1, m), std::vector<std::int64_t>(p, 2 * p - 1));
      }
    }
}

// One stage, two micro-batches of 10 bytes, of which 4 stay for W; a backward works with 3. GPipe
// order F F B B with B = 1 s, split in nothing: takes 10, 20, 23, then 10, 13, 0.
TEST(MemoryOverTime, PeakAndWhen) {
  ScheduleOptions options;
  options.chunks.resize(1);
  options.chunks[0].activations = {10};
  options.chunks[0].until_weight_grad = {4};
  options.chunks[0].working = {3};
  const Schedule schedule = build_schedule(ScheduleKind::GPipe, 1, 1, 2, options);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {1, 1, 0}), 1);
  const MemoryOverTime memory = memory_over_time(schedule, timeline, 0, {100});
  std::vector<std::pair<double, std::int64_t>> points;
  for (const auto& point : memory.points)
    points.emplace_back(point.time.count(), point.bytes.count);
  EXPECT_EQ(points, (std::vector<std::pair<double, std::int64_t>>{
                        {0, 110}, {1, 120}, {2, 123}, {3, 113}, {4, 100}}));
  EXPECT_EQ(memory.peak, Bytes{123});
  EXPECT_EQ(memory.peak_time, Seconds{2});
  EXPECT_EQ(schedule.programs[0][memory.peak_instruction].action, Action::Backward);

  // ZB-H1 on one stage: F B W F B W. B hands back all but 4, W the rest: 10, 13, 4, 0 and again.
  const Schedule split = build_schedule(ScheduleKind::ZbH1, 1, 1, 2, options);
  const MemoryOverTime halves =
      memory_over_time(split, simulate(split, uniform_costs(split, {1, 1, 1}), 1), 0);
  EXPECT_EQ(halves.peak, Bytes{13});
  EXPECT_EQ(halves.peak_time, Seconds{1});
  EXPECT_EQ(halves.points.back().bytes, Bytes{0});
}

TEST(Summary, RanksAddUpToTheirPeriods) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    const auto [schedule, costs] = random_case(seed);
    const Timeline timeline = simulate(schedule, costs);
    const TimelineSummary summary = summarize(schedule, timeline, 1);
    ASSERT_EQ(summary.ranks.size(), static_cast<std::size_t>(schedule.stages));
    for (const RankSummary& rank : summary.ranks) {
      ASSERT_NEAR(rank.terms.sum().count(), rank.period.count(), 1e-9) << seed;
      ASSERT_LE(rank.period.count(), summary.step.step.count() * (1 + 1e-8)) << seed;
      ASSERT_GT(rank.peak, Bytes{0});
    }
    ASSERT_NEAR(summary.critical_path.sum().count(), summary.step.step.count(), 1e-9) << seed;
  }
}

}  // namespace
}  // namespace meshplan::planner
