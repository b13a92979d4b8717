#include "profiles/nearest_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace meshplan::profiles {
namespace {

const std::vector<std::string> kModels = {"gpt2", "gpt2-xl", "llama-3-70b", "mistral-7b"};

TEST(NearestName, FindsASlip) {
  EXPECT_EQ(nearest_name("llama3-70b", kModels), "llama-3-70b");
  EXPECT_EQ(nearest_name("Mistral-7B", kModels), "mistral-7b");
}

TEST(NearestName, TiesGoToTheFirst) {
  const std::vector<std::string> twins = {"ab", "ac"};
  EXPECT_EQ(nearest_name("ad", twins), "ab");
}

TEST(NearestName, NothingNearGivesNone) {
  EXPECT_EQ(nearest_name("zzzzzzzzzz", kModels), std::nullopt);
  EXPECT_EQ(did_you_mean("zzzzzzzzzz", kModels), "");
}

TEST(NearestName, MessageNamesIt) {
  EXPECT_EQ(did_you_mean("gpt3", kModels), "; did you mean 'gpt2'?");
}

}  // namespace
}  // namespace meshplan::profiles
