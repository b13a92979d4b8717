#include "planner/check/junit.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

TEST(XmlEscaped, KeepsTextApartFromMarkup) {
  EXPECT_EQ(xml_escaped("a < b & \"c\" > d"), "a &lt; b &amp; &quot;c&quot; &gt; d");
  EXPECT_EQ(xml_escaped("two\nlines\tand tabs"), "two&#10;lines&#9;and tabs");
  EXPECT_EQ(xml_escaped("\xC3\xA9t\xC3\xA9"), "\xC3\xA9t\xC3\xA9");
}

TEST(XmlEscaped, ReplacesWhatXmlCannotHold) {
  EXPECT_EQ(xml_escaped(std::string_view("a\0b\x01", 4)), "a?b?");
  EXPECT_EQ(xml_escaped("a\xEF\xBF\xBF"
                        "b"),
            "a?b");  // U+FFFF
  EXPECT_EQ(xml_escaped("a\xEF\xBF\xBD"
                        "b"),
            "a\xEF\xBF\xBD"
            "b");  // U+FFFD is a character
}

TEST(JunitXml, CountsFailuresByPart) {
  const std::string xml = junit_xml({
      {.suite_part = "questions",
       .subject = "q1",
       .was = 1.0,
       .is = 1.5,
       .verdict = Verdict::Worse,
       .why = "slower"},
      {.suite_part = "questions", .subject = "q2", .was = 1.0, .is = 1.0},
      {.suite_part = "paper <1>",
       .subject = "run",
       .figure = Figure::TimeError,
       .is = 0.25,
       .verdict = Verdict::Unknown},
  });
  EXPECT_EQ(xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"meshplan check\" tests=\"3\" failures=\"2\">\n"
            "  <testsuite name=\"questions\" tests=\"2\" failures=\"1\">\n"
            "    <testcase classname=\"questions\" name=\"q1, best step\">\n"
            "      <failure type=\"worse\" message=\"was 1, is 1.5: slower\"/>\n"
            "    </testcase>\n"
            "    <testcase classname=\"questions\" name=\"q2, best step\"/>\n"
            "  </testsuite>\n"
            "  <testsuite name=\"paper &lt;1&gt;\" tests=\"1\" failures=\"1\">\n"
            "    <testcase classname=\"paper &lt;1&gt;\" name=\"run, time error\">\n"
            "      <failure type=\"unknown\" message=\"was none, is 0.25\"/>\n"
            "    </testcase>\n"
            "  </testsuite>\n"
            "</testsuites>\n");
}

}  // namespace
}  // namespace meshplan::planner
