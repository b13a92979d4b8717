#include "planner/export/condition.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/export/message.h"
#include "profiles/input_error.h"
#include "tests/planner/export/export_problem.h"

namespace meshplan::planner {
namespace {

/// Values on tp8,pp4,dp1 of 32 heads and 8 KV heads, 256 micro-batches.
std::int64_t value(const std::string& text) {
  static const Problem problem = export_problem();
  static const Layout layout = layout_from_text("tp8,pp4,dp1,mbs1,sp");
  const Situation here{
      layout, problem.model, problem.workload, problem.cluster, {8, 8, true, false}};
  return Condition(text, "test").value(here);
}

std::string message(const std::string& text) {
  const Problem problem = export_problem();
  const Layout layout = layout_from_text("tp8,pp4,dp1,mbs1,schedule=gpipe");
  const Situation here{layout, problem.model, problem.workload, problem.cluster, {}};
  return Message(text, "test").shown(here);
}

TEST(Condition, CountsAsUsual) {
  EXPECT_EQ(value("1 + 2 * 3"), 7);
  EXPECT_EQ(value("(1 + 2) * 3"), 9);
  EXPECT_EQ(value("10 - 3 - 2"), 5);
  EXPECT_EQ(value("heads % tp"), 0);
  EXPECT_EQ(value("kv_heads % (2 * tp)"), 8);
  EXPECT_EQ(value("7 % 0"), 7);  // nothing but zero is a multiple of zero
  EXPECT_EQ(value("global_batch"), 256);
}

TEST(Condition, ComparesNumbersFlagsAndWords) {
  EXPECT_EQ(value("tp == 8 and pp != 8"), 1);
  EXPECT_EQ(value("tp < 8 or pp >= 4"), 1);
  EXPECT_EQ(value("tp <= 7 or pp > 4"), 0);
  EXPECT_EQ(value("sp == training"), 1);
  EXPECT_EQ(value("schedule == '1f1b'"), 1);
  EXPECT_EQ(value("'gpipe' == schedule"), 0);
  EXPECT_EQ(value("schedule in ['gpipe', '1f1b']"), 1);
  EXPECT_EQ(value("tp in [1, 2, 4]"), 0);
}

TEST(Condition, BindsNotThenAndThenOr) {
  EXPECT_EQ(value("1 == 1 or 1 == 2 and 1 == 2"), 1);
  EXPECT_EQ(value("(1 == 1 or 1 == 2) and 1 == 2"), 0);
  EXPECT_EQ(value("not 1 == 2 and 1 == 1"), 1);
  EXPECT_EQ(value("not not sp"), 1);
}

TEST(Condition, RefusesWhatHasNoMeaning) {
  for (const char* text :
       {"", "tp ==", "tp == 'gpipe'", "schedule == 'zb'", "schedule == 3", "heds % tp == 0",
        "tp and pp", "sp + 1", "(tp == 1", "tp == 1)", "schedule == overlap", "'a' == 'b'", "'open",
        "tp in [1, 2", "tp == 99999999999", "tp = 1", "tp == 1 tp", "not tp"}) {
    EXPECT_THROW(Condition(text, "test"), profiles::InputError) << text;
  }
  // Deep nesting is refused, not followed.
  EXPECT_THROW(Condition(std::string(10'000, '('), "test"), profiles::InputError);
}

TEST(Condition, NamesTheNearestWord) {
  try {
    Condition("hads % tp == 0", "table#/rules/0");
    FAIL();
  } catch (const profiles::InputError& error) {
    EXPECT_NE(std::string(error.what()).find("heads"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("table#/rules/0"), std::string::npos);
  }
}

TEST(Condition, NoTextCrashesTheReader) {
  EXPECT_TRUE(rc::check([](const std::vector<unsigned>& draws) {
    const std::vector<std::string> pieces = {"tp", "sp",  "schedule", "'1f1b'", "==", "%",
                                             "(",  ")",   "[",        "]",      "in", "and",
                                             "or", "not", "3",        ",",      "-"};
    std::string text;
    for (const unsigned draw : draws) text += pieces[draw % pieces.size()] + " ";
    try {
      (void)value(text);
    } catch (const profiles::InputError&) {
    }
  }));
}

TEST(Message, PutsValuesIntoText) {
  EXPECT_EQ(message("{heads} heads over {tp}"), "32 heads over 8");
  EXPECT_EQ(message("{tp * pp} ranks, not {schedule}, {sp}"), "32 ranks, not gpipe, false");
  EXPECT_EQ(message("plain"), "plain");
  EXPECT_THROW(Message("{tp", "test"), profiles::InputError);
}

}  // namespace
}  // namespace meshplan::planner
