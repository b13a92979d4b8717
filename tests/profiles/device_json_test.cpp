#include "profiles/device_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

const DataFiles kFiles;

std::string refusal(const nlohmann::json& document) {
  try {
    (void)read_device(JsonNode::parse(document.dump(), "device.json"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(LoadDevice, HopperAsItsWhitePaperSays) {
  const Device device = load_device("h100-sxm-80gb", kFiles);
  EXPECT_EQ(device.compute_capability, 90);
  EXPECT_EQ(device.multiprocessors, 132);
  EXPECT_DOUBLE_EQ(device.peak_at(DataType::Bf16).rate, 989.4e12);
  EXPECT_DOUBLE_EQ(device.memory_bandwidth.rate, 3.35e12);
  // 900 GB/s of NVLink, both directions together: 450 GB/s each.
  EXPECT_DOUBLE_EQ((device.nvlinks * device.nvlink_bandwidth).rate, 450e9);
}

TEST(LoadDevice, EveryAliasNamesADevice) {
  std::set<std::string_view> seen;
  for (const DeviceAlias& alias : device_aliases()) {
    EXPECT_EQ(load_device(std::string(alias.alias), kFiles).id, alias.id);
    EXPECT_TRUE(seen.insert(alias.alias).second) << alias.alias << " twice";
  }
}

TEST(LoadDevice, EveryFileIsReadableAndDense) {
  for (const std::string& id : kFiles.names("devices")) {
    const Device device = load_device(id, kFiles);
    EXPECT_EQ(device.id, id);
    EXPECT_FALSE(device.source.empty()) << id;
    // Halving the width doubles the rate; sparse figures would double it twice. 10% for the
    // rounding of data sheets.
    const double bf16 = device.peak_at(DataType::Bf16).rate;
    const double fp8 = device.peak_at(DataType::Fp8).rate;
    EXPECT_LE(fp8, 2.1 * std::max(bf16, device.peak_at(DataType::Fp16).rate)) << id;
    // The name states decimal or binary gigabytes; a program sees at most the binary ones.
    const auto gigabytes = id.rfind('-');
    if (id.ends_with("gb")) {
      const double stated = std::stod(id.substr(gigabytes + 1));
      const double seen = static_cast<double>(device.memory.count);
      EXPECT_LE(seen, stated * 1.0738e9) << id;
      EXPECT_GE(seen, stated * 0.95e9) << id;
    }
  }
}

TEST(LoadDevice, UnknownNamesTheNearest) {
  EXPECT_THAT([] { (void)load_device("h10", kFiles); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("did you mean 'h100'?")));
  EXPECT_THROW((void)load_device("../clusters/dgx-h100", kFiles), InputError);
}

TEST(DevicePeak, FallsBackToAWiderFormat) {
  const Device volta = load_device("v100", kFiles);
  EXPECT_EQ(volta.peak_at(DataType::Fp16).rate, 125e12);
  EXPECT_EQ(volta.peak_at(DataType::Bf16).rate, 15.7e12);  // neither bf16 nor tf32: fp32
  EXPECT_EQ(volta.peak_at(DataType::Fp8).rate, 125e12);    // every fp8 value is an fp16 value
  const Device ampere = load_device("a100", kFiles);
  EXPECT_EQ(ampere.peak_at(DataType::Fp4).rate, 312e12);
}

TEST(DeviceJson, WritesWhatItReads) {
  for (const std::string& id : kFiles.names("devices")) {
    const nlohmann::json once = device_json(load_device(id, kFiles));
    EXPECT_EQ(device_json(read_device(JsonNode::parse(once.dump(), "copy"))), once) << id;
  }
}

TEST(ReadDevice, RefusesWhatNoDeviceHas) {
  using testing::HasSubstr;
  const nlohmann::json good = device_json(load_device("l4", kFiles));
  EXPECT_EQ(refusal(good), "accepted");
  nlohmann::json bad = good;
  bad["memory_byte"] = 1;
  EXPECT_THAT(refusal(bad), HasSubstr("did you mean 'memory_bytes'?"));
  bad = good;
  bad["memory_bytes"] = -1;
  EXPECT_THAT(refusal(bad), HasSubstr("device.json#/memory_bytes"));
  bad = good;
  bad["peak_flops_per_second"].erase("fp32");
  EXPECT_THAT(refusal(bad), HasSubstr("fp32"));
  bad = good;
  bad["schema"] = "meshplan.cluster/1";
  EXPECT_THAT(refusal(bad), HasSubstr("meshplan.device/1"));
}

}  // namespace
}  // namespace meshplan::profiles
