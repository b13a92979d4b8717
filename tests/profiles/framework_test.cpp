#include "profiles/framework.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

TEST(Framework, AliasesStandForFilesThatExist) {
  const DataFiles files;
  for (const FrameworkAlias& alias : framework_aliases()) {
    const Framework framework = load_framework(std::string(alias.alias), files);
    EXPECT_TRUE(framework.known) << alias.alias;
    EXPECT_EQ(framework.name, alias.id);
    EXPECT_FALSE(files.find("frameworks/" + std::string(alias.alias))) << alias.alias;
  }
}

TEST(Framework, CaseBlanksAndUnderscoresDoNotMatter) {
  EXPECT_EQ(framework_id_of("PyTorch FSDP"), "fsdp");
  EXPECT_EQ(framework_id_of("Megatron_LM"), "megatron");
  EXPECT_EQ(framework_id_of("TorchTitan"), "torchtitan");
  EXPECT_EQ(framework_id_of("Unheard Of"), "unheard-of");
}

TEST(Framework, AnUnknownNameGetsGenericHabits) {
  const DataFiles files;
  const Framework unknown = load_framework("unheard-of", files);
  const Framework generic = load_framework("generic", files);
  EXPECT_FALSE(unknown.known);
  EXPECT_TRUE(generic.known);
  EXPECT_EQ(unknown.spread, generic.spread);
  EXPECT_EQ(unknown.overlap_grad, generic.overlap_grad);
}

TEST(Framework, NewerDevicesRunTheSuccessor) {
  const DataFiles files;
  EXPECT_EQ(load_framework("megatron", files, 80).name, "megatron");
  EXPECT_FALSE(load_framework("megatron", files, 80).flash_attention);
  EXPECT_EQ(load_framework("megatron", files, 90).name, "megatron-core");
  EXPECT_TRUE(load_framework("megatron", files, 100).flash_attention);
  EXPECT_EQ(load_framework("megatron", files).name, "megatron");
}

TEST(Framework, ASuccessorNamesItsDevices) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "framework_test";
  std::filesystem::create_directories(folder / "frameworks");
  std::ofstream(folder / "frameworks" / "mine.json")
      << R"({"schema": "meshplan.framework/1", "successor": {"name": "fsdp"}})";
  EXPECT_THROW(load_framework("mine", DataFiles({folder.string()}), 90), InputError);
}

TEST(Framework, OperatorsAreFusedOrRunOneByOne) {
  const DataFiles files;
  const Framework titan = load_framework("torchtitan", files);
  const Framework eager = with_operators(titan, false, files);
  EXPECT_GT(eager.rms_norm_passes, titan.rms_norm_passes);
  EXPECT_GT(eager.loss_traffic_per_logit, titan.loss_traffic_per_logit);
  EXPECT_EQ(eager.selective_products, titan.selective_products) << "all else stays";
  const Framework compiled = with_operators(load_framework("fsdp", files), true, files);
  EXPECT_EQ(compiled.elementwise_passes, 1);
  EXPECT_EQ(compiled.deferred_reduction, DeferredReduction::Always);
}

}  // namespace
}  // namespace meshplan::profiles
