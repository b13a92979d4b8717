// The pictures of docs/schedules.md are what `gantt` draws of the schedule that the mark above each
// names, with F = B = W = 1 and free transfers. MESHPLAN_REFRESH=1 writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "planner/layout/layout_text.h"
#include "planner/schedule/build_schedule.h"
#include "planner/simulate/gantt.h"
#include "planner/simulate/simulate.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// `mark` = "tp1,pp4,dp1,mbs1,schedule=gpipe, 4 micro-batches" or "inference, pp4, 5
/// micro-batches".
std::string picture(const std::string& mark) {
  static const std::regex kMark(R"((inference, )?(\S+), (\d+) micro-batches)");
  std::smatch parts;
  if (!std::regex_match(mark, parts, kMark)) return "unreadable mark: " + mark;
  const Layout layout = layout_from_text(parts[2].str());
  ScheduleOptions options;
  options.forward_only = parts[1].matched;
  const Schedule schedule = build_schedule(layout.schedule, layout.pp, layout.chunks_per_stage(),
                                           std::stoi(parts[3].str()), options);
  ScheduleCosts costs;
  const auto chunks = static_cast<std::size_t>(layout.chunks());
  costs.chunks.resize(chunks);
  for (ChunkCost& chunk : costs.chunks) {
    chunk.forward.compute = chunk.input_grad.compute = chunk.weight_grad.compute = Seconds{1};
  }
  costs.stages.resize(static_cast<std::size_t>(layout.pp));
  costs.hops_forward.resize(chunks);
  costs.hops_backward.resize(chunks);
  return gantt(schedule, simulate(schedule, costs, 1));
}

TEST(SchedulePictures, AreWhatTheToolDraws) {
  const std::string path = std::string(SOURCE_DIR) + "/docs/schedules.md";
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::ostringstream fresh;
  int pictures = 0;
  for (std::string line; std::getline(file, line);) {
    fresh << line << "\n";
    static const std::regex kComment("<!-- gantt: (.*) -->");
    std::smatch mark;
    if (!std::regex_match(line, mark, kComment)) continue;
    const std::string wanted = mark[1];
    std::string drawn;
    std::getline(file, line);
    ASSERT_EQ(line, "```text") << "below " << wanted;
    while (std::getline(file, line) && line != "```") drawn += line + "\n";
    const std::string expected = picture(wanted);
    fresh << "```text\n" << expected << "```\n";
    ++pictures;
    if (std::getenv("MESHPLAN_REFRESH") == nullptr) {
      EXPECT_EQ(drawn, expected) << wanted;
    }
  }
  EXPECT_GE(pictures, 6);
  if (std::getenv("MESHPLAN_REFRESH") != nullptr) std::ofstream(path) << fresh.str();
}

}  // namespace
}  // namespace meshplan::planner
