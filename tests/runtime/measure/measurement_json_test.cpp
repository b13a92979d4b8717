#include "runtime/measure/measurement_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "profiles/input_error.h"

namespace meshplan::runtime {
namespace {

using profiles::JsonNode;
using profiles::Seconds;

Measurement example() {
  Measurement m;
  m.model = "tiny";
  m.layout = "tp2,pp1,dp1,mbs1";
  m.device = "cpu: own";
  m.ranks = 2;
  m.warm_up = 1;
  m.steps = {Seconds{0.1}, Seconds{1.0 / 3}, Seconds{0.2}};
  m.step = Seconds{0.2};
  m.terms = {.compute = Seconds{0.1}, .tp = Seconds{0.07}, .bubble = Seconds{0.03}};
  m.terms_rank = 1;
  m.instructions = {{planner::Action::Backward, 0, 4, Seconds{2e-3}, Seconds{1e-3}, Seconds{3e-3}}};
  m.memory.resize(2);
  m.memory[1].at_peak.by_term[2] = {4096};
  m.memory[1].term_peaks.by_term[5] = {17};
  m.losses = {4.5, 4.25};
  m.executed = Executed{{1, 0}, 2, 8};
  return m;
}

TEST(MeasurementJson, ReadsBackWhatItWrote) {
  const Measurement m = example();
  const std::string text = measurement_text(m);
  const Measurement back = read_measurement(JsonNode::parse(text, "m.json"));
  EXPECT_EQ(measurement_text(back), text);
  EXPECT_EQ(back.steps, m.steps);
  EXPECT_EQ(back.instructions, m.instructions);
  EXPECT_EQ(back.memory, m.memory);
  EXPECT_EQ(back.losses, m.losses);
  EXPECT_EQ(back.executed, m.executed);
  EXPECT_EQ(back.terms.tp, m.terms.tp);
  EXPECT_EQ(back.mode, m.mode);
}

void expect_refused(const std::string& from, const std::string& to, const std::string& message) {
  std::string text = measurement_text(example());
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, from.size(), to);
  try {
    read_measurement(JsonNode::parse(text, "m.json"));
    FAIL() << "accepted " << to;
  } catch (const profiles::InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(message));
  }
}

TEST(MeasurementJson, RefusesWhatItDoesNotKnow) {
  expect_refused("measurement/1", "measurement/2", "m.json");
  expect_refused("\"loss\"", "\"lost\"", "loss");
  expect_refused("\"parallel\"", "\"serial\"", "parallel, replay or partitioned");
  expect_refused("\"time_rank\": 1", "\"time_rank\": 2", "time_rank");
  expect_refused("\"optimizer_bytes\": 4096", "\"optimizer_bytes\": -1", "optimizer_bytes");
}

}  // namespace
}  // namespace meshplan::runtime
