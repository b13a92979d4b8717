#include "profiles/json_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

using testing::HasSubstr;

template <typename Action>
std::string refusal(Action&& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(accepted)";
}

TEST(JsonNode, NamesFilePointerExpectedAndFound) {
  const auto node = JsonNode::parse(R"({"a": {"b": ["x", 7]}})", "f.json");
  EXPECT_EQ(refusal([&] { (void)node.at("a").at("b").elements()[1].string(); }),
            "f.json#/a/b/1: expected a string, found 7");
  EXPECT_EQ(refusal([&] { (void)node.at("a").at("c"); }),
            "f.json#/a: expected the key 'c', found none");
}

TEST(JsonNode, TruncatedDocumentsNameTheLine) {
  EXPECT_EQ(refusal([] { JsonNode::parse("{\n\"a\": [1, 2", "f.json"); }),
            "f.json: line 2, column 11: expected valid JSON, found the end of the file");
}

TEST(JsonNode, RefusesDeepNesting) {
  EXPECT_THAT(refusal([] { JsonNode::parse(std::string(10'000'000, '['), "f.json"); }),
              HasSubstr("at most 64 levels"));
}

TEST(JsonNode, RefusesNumbersThatAreNoFiniteDouble) {
  EXPECT_THAT(refusal([] { JsonNode::parse("[1e999]", "f.json"); }), HasSubstr("out of range"));
  EXPECT_THAT(refusal([] { JsonNode::parse("[NaN]", "f.json"); }), HasSubstr("valid JSON"));
}

TEST(JsonNode, RefusesAKeyGivenTwice) {
  EXPECT_EQ(refusal([] { JsonNode::parse(R"({"tp": 1, "tp": 2})", "f.json"); }),
            "f.json: expected each key once, found 'tp' twice");
}

TEST(JsonNode, UnknownKeysNameTheNearest) {
  const auto node = JsonNode::parse(R"({"devize": 1})", "f.json");
  EXPECT_EQ(refusal([&] {
              node.refuse_unknown_keys({"device", "nodes"});
            }),
            "f.json: expected a known key, found 'devize'; did you mean 'device'?");
}

TEST(JsonNode, NumbersAreChecked) {
  const auto node = JsonNode::parse(R"([-1, 2.5, 8.0, 0, 3000000000])", "f.json").elements();
  EXPECT_EQ(refusal([&] { (void)node[0].positive_number(); }),
            "f.json#/0: expected a number > 0, found -1");
  EXPECT_EQ(refusal([&] { (void)node[1].integer(); }),
            "f.json#/1: expected a whole number, found 2.5");
  EXPECT_EQ(node[2].integer(), 8);
  EXPECT_THAT(refusal([&] { (void)node[3].count(); }), HasSubstr("from 1 to"));
  EXPECT_THAT(refusal([&] { (void)node[4].count(); }), HasSubstr("from 1 to"));
}

TEST(JsonNode, LaterMinorVersionsOfASchemaAreRead) {
  JsonNode::parse(R"({"schema": "meshplan.plan/1"})", "f").require_schema("plan");
  JsonNode::parse(R"({"schema": "meshplan.plan/1.3"})", "f").require_schema("plan");
  EXPECT_EQ(refusal([] {
              JsonNode::parse(R"({"schema": "meshplan.plan/2"})", "f").require_schema("plan");
            }),
            "f#/schema: expected 'meshplan.plan/1', found \"meshplan.plan/2\"");
}

TEST(JsonNode, MissingFilesAreRefused) {
  EXPECT_EQ(refusal([] { JsonNode::read_file("/no/such/file.json"); }),
            "/no/such/file.json: expected a readable file, found No such file or directory");
}

}  // namespace
}  // namespace meshplan::profiles
