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
  EXPECT_EQ(load_framework("megatron", files, {80}).name, "megatron");
  EXPECT_FALSE(load_framework("megatron", files, {80}).flash_attention);
  EXPECT_EQ(load_framework("megatron", files, {90}).name, "megatron-core");
  EXPECT_TRUE(load_framework("megatron", files, {100}).flash_attention);
  EXPECT_EQ(load_framework("megatron", files).name, "megatron");
}

TEST(Framework, ADataTypeMayHaveAFileOfItsOwn) {
  const DataFiles files;
  const Framework half = load_framework("megatron-deepspeed", files, {80, DataType::Fp16});
  const Framework wide = load_framework("megatron-deepspeed", files, {80, DataType::Bf16});
  EXPECT_EQ(half.name, "megatron-deepspeed");
  EXPECT_EQ(wide.name, "megatron-deepspeed-bf16");
  // BF16_Optimizer casts (reads 2, writes 4) and adds (reads 4 and 4, writes 4) what products
  // wrote.
  EXPECT_EQ(wide.accumulation_bytes, 2 + 4 + 4 + 4 + 4);
  EXPECT_TRUE(wide.reduces_whole);
  EXPECT_EQ(wide.elementwise_passes, half.elementwise_passes) << "all else stays";
  EXPECT_EQ(load_framework("megatron-deepspeed", files, {90, DataType::Bf16}).name,
            "megatron-core");
}

TEST(Framework, AFileForADataTypeNamesOneThatExists) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "framework_test";
  std::filesystem::create_directories(folder / "frameworks");
  const auto loads = [&](const char* others) {
    std::ofstream(folder / "frameworks" / "typed.json")
        << R"({"schema": "meshplan.framework/1", "of_data_type": )" << others << "}";
    load_framework("typed", DataFiles({folder.string()}), {80, DataType::Bf16});
  };
  EXPECT_NO_THROW(loads(R"({"bf16": "fsdp"})"));
  EXPECT_THROW(loads(R"({"bf17": "fsdp"})"), InputError);
  EXPECT_THROW(loads(R"({"bf16": 1})"), InputError);
}

TEST(Framework, ASuccessorNamesItsDevices) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "framework_test";
  std::filesystem::create_directories(folder / "frameworks");
  std::ofstream(folder / "frameworks" / "mine.json")
      << R"({"schema": "meshplan.framework/1", "successor": {"name": "fsdp"}})";
  EXPECT_THROW(load_framework("mine", DataFiles({folder.string()}), {90}), InputError);
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
