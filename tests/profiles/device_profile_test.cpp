#include "profiles/device_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "profiles/borrowed_profile.h"
#include "profiles/device_json.h"
#include "profiles/device_profile_json.h"
#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

using testing::HasSubstr;

DeviceProfile profile_of(const std::string& id) {
  const DataFiles files;
  return load_profile(load_device(id, files), files);
}

/// The shipped profile of H100 after `edit`, read again; the refusal, or "(accepted)".
template <typename Edit>
std::string refusal(Edit&& edit) {
  const DeviceProfile shipped = profile_of("h100");
  nlohmann::ordered_json document = profile_json(shipped);
  edit(document);
  try {
    read_profile(JsonNode::parse(document.dump(), "p.json"), shipped.device);
  } catch (const InputError& error) {
    return error.what();
  }
  return "(accepted)";
}

TEST(DeviceProfile, WrittenAndReadIsTheSame) {
  const DeviceProfile a = profile_of("h100");
  const DeviceProfile b = read_profile(JsonNode::parse(profile_json(a).dump(), "p.json"), a.device);
  EXPECT_TRUE(b.fitted);
  EXPECT_EQ(a.gemm, b.gemm);
  EXPECT_EQ(a.attention, b.attention);
  EXPECT_EQ(a.decode, b.decode);
  EXPECT_EQ(a.memory_bound, b.memory_bound);
  EXPECT_EQ(a.tables, b.tables);
  EXPECT_EQ(a.provenance, b.provenance);
  EXPECT_EQ(a.sha256, b.sha256);
  EXPECT_EQ(a.sustained_clock_factor, b.sustained_clock_factor);
  EXPECT_EQ(a.sustained_clock_cause, b.sustained_clock_cause);
}

TEST(DeviceProfile, BadFilesAreRefusedWhereTheyAreWrong) {
  EXPECT_EQ(refusal([](auto&) {}), "(accepted)");
  EXPECT_THAT(refusal([](auto& d) { d["schema"] = "meshplan.profile/2"; }), HasSubstr("p.json"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["lanch_seconds"] = 1; }),
              HasSubstr("did you mean 'launch_seconds'?"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"].erase("overlap"); }), HasSubstr("'overlap'"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["overlap"] = 0.5; }),
              HasSubstr("p.json#/gemm/overlap: expected an exponent within [1, 100]"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["quantisation"] = 1.5; }),
              HasSubstr("within [0, 1]"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["launch_seconds"] = -1; }),
              HasSubstr("a number > 0"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["tiles"] = nlohmann::json::array(); }),
              HasSubstr("at least one tile"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["tiles"][0]["efficiency"] = 30; }),
              HasSubstr("a share"));
  EXPECT_THAT(refusal([](auto& d) { d["gemm"]["residual"]["ln_ratio_thousandths"].push_back(0); }),
              HasSubstr("one value per node"));
  EXPECT_THAT(refusal([](auto& d) {
                d["decode"]["residual"]["axes"]["batch"] = {4, 1};
              }),
              HasSubstr("ascending"));
  EXPECT_THAT(refusal([](auto& d) { d["attention"]["efficiency"][0]["head_dim"] = 4096; }),
              HasSubstr("ascending head dimensions"));
  EXPECT_THAT(refusal([](auto& d) { d["sustained_clock"]["factor"] = 0; }),
              HasSubstr("a number > 0"));
}

TEST(LoadProfile, ShippedDevicesAreFitted) {
  for (const char* id : {"a100", "h100", "h200", "b200", "l40s"}) {
    const DeviceProfile p = profile_of(id);
    EXPECT_TRUE(p.fitted) << id;
    EXPECT_EQ(p.name, p.device.id);
    EXPECT_EQ(p.sha256.size(), 64U);
    EXPECT_THAT(p.provenance, HasSubstr("fitted on"));
  }
}

TEST(LoadProfile, OthersBorrowFromTheirNearestKinAndSaySo) {
  const DeviceProfile pcie = profile_of("h100-pcie");
  EXPECT_FALSE(pcie.fitted);
  EXPECT_EQ(pcie.name, "h100-pcie-80gb from h100-sxm-80gb");
  EXPECT_THAT(pcie.provenance, HasSubstr("not measured"));
  EXPECT_EQ(pcie.device.multiprocessors, 114);  // its own facts
  EXPECT_GT(pcie.gemm.record.spread, profile_of("h100").gemm.record.spread);
  EXPECT_EQ(profile_of("a100-40gb").name, "a100-sxm-40gb from a100-sxm-80gb");
  EXPECT_EQ(profile_of("gb200").name, "gb200-186gb from b200-sxm-180gb");
  EXPECT_EQ(profile_of("b300").name, "b300-sxm-288gb from b200-sxm-180gb");
  EXPECT_EQ(profile_of("l4").name, "l4-24gb from l40s-48gb");
  EXPECT_EQ(profile_of("a40").name, "a40-48gb from l40s-48gb");
}

TEST(BorrowedProfile, IsNeverTheDevicesOwn) {
  const DataFiles files;
  const auto unseen = [&](const char* id) {
    const auto profile = borrowed_profile(load_device(id, files), files);
    EXPECT_FALSE(profile->fitted);
    return profile->name;
  };
  EXPECT_EQ(unseen("h200"), "h200-sxm-141gb from h100-sxm-80gb");
  EXPECT_EQ(unseen("b200"), "b200-sxm-180gb from h200-sxm-141gb");
  EXPECT_EQ(unseen("a100"), "a100-sxm-80gb from h100-sxm-80gb");
  EXPECT_EQ(unseen("l40s"), "l40s-48gb from a100-sxm-80gb");
}

TEST(BorrowedProfile, TakesEfficienciesAndLaunchesToItsOwnClocks) {
  // B200's tables were taken at 1.965 GHz, its peak is stated at 1.856; GB200's 2.062 and 2.008.
  const DeviceProfile kin = profile_of("b200"), own = profile_of("gb200");
  const double headroom = (2.062 / 2.008) / (1.965 / 1.856), slower = 1.965 / 2.062;
  EXPECT_NEAR(own.gemm.tiles[0].efficiency, headroom * kin.gemm.tiles[0].efficiency, 1e-9);
  EXPECT_NEAR(own.attention.head_dims[0].forward, headroom * kin.attention.head_dims[0].forward,
              1e-9);
  EXPECT_NEAR(own.gemm.launch / kin.gemm.launch, slower, 1e-9);
  EXPECT_NEAR(own.decode.launch / kin.decode.launch, slower, 1e-9);
  // What blocks wait for is memory, as slow on both.
  EXPECT_EQ(own.gemm.area_overhead, kin.gemm.area_overhead);
  EXPECT_EQ(own.decode.block_overhead, kin.decode.block_overhead);
  EXPECT_EQ(own.gemm.memory_efficiency, kin.gemm.memory_efficiency);
  EXPECT_EQ(own.gemm.residual, kin.gemm.residual);
}

TEST(BorrowedProfile, BlackwellUltraHasTwiceTheExponentials) {
  // B300 at 2.032 GHz: 512 FLOPs of a pair at 2250e12 * 2.032 / 1.856 take 0.2078 ps, its
  // exponential on 148 multiprocessors 0.2078 ps at 16 a cycle, 0.1039 at 32. To the power 1.3, the
  // gain at head dimension 128 is (2 / (1 + 0.5^1.3))^(1 / 1.3) = 1.311.
  const DeviceProfile kin = profile_of("b200"), own = profile_of("b300");
  const double headroom = (2.032 / 1.856) / (1.965 / 1.856);
  const auto at_128 = [](const DeviceProfile& p) {
    for (const HeadDimEfficiency& e : p.attention.head_dims) {
      if (e.head_dim == 128) return e.forward;
    }
    return 0.0;
  };
  EXPECT_NEAR(at_128(own) / at_128(kin) / headroom, 1.311, 1e-3);
  EXPECT_NEAR(own.attention.backward_efficiency * at_128(own),
              headroom * kin.attention.backward_efficiency * at_128(kin), 1e-9);
  EXPECT_EQ(profile_of("gb200").attention.backward_efficiency, kin.attention.backward_efficiency);
}

TEST(BorrowedProfile, CachesAndBlocksMoveAsManyBytesACycle) {
  // H200 has H100's multiprocessors and clocks beside 4.8 / 3.35 of its memory's bandwidth.
  const DataFiles files;
  const DeviceProfile kin = profile_of("h100");
  const auto own = borrowed_profile(load_device("h200", files), files);
  EXPECT_NEAR(own->gemm.l2_bandwidth * 4.8, kin.gemm.l2_bandwidth * 3.35, 1e-9);
  EXPECT_NEAR(own->gemm.raster_width * 4.8, kin.gemm.raster_width * 3.35, 1e-6);
  EXPECT_NEAR(own->decode.block_bandwidth * 4.8, kin.decode.block_bandwidth * 3.35, 1e-9);
}

TEST(BorrowedProfile, ComparesLoadedClocksWhereThePowerCapHoldsBothDown) {
  // L40S: 2.02 of the peak's 2.49 GHz; L4: 1.61 of 2.04. Launches do not load a device.
  const DeviceProfile kin = profile_of("l40s"), own = profile_of("l4");
  EXPECT_NEAR(own.gemm.tiles[0].efficiency / kin.gemm.tiles[0].efficiency,
              (1.61 / 2.04) / (2.02 / 2.49), 1e-9);
  EXPECT_NEAR(own.gemm.launch / kin.gemm.launch, 2.52 / 2.04, 1e-9);
  // A40 has no loaded clock: 1.74 of 1.74 against 2.52 of 2.49.
  EXPECT_NEAR(profile_of("a40").gemm.tiles[0].efficiency / kin.gemm.tiles[0].efficiency,
              2.49 / 2.52, 1e-9);
}

TEST(BorrowedProfile, TakesThemAsTheyAreWhereClocksAreNotPublished) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "no_clocks";
  std::filesystem::create_directories(folder / "devices");
  std::ofstream(folder / "devices/gb300-288gb.json") << R"({
    "schema": "meshplan.device/1", "id": "gb300-288gb", "architecture": "blackwell",
    "compute_capability": 103, "peak_flops_per_second": {"fp32": 80e12, "bf16": 2500e12},
    "memory_bytes": 296996988518, "memory_bandwidth_bytes_per_second": 8e12,
    "l2_cache_bytes": 132120576, "multiprocessors": 152, "maximum_clock_hertz": 2e9, "nvlinks": 0,
    "pcie_bytes_per_second": 128e9, "source": "as GB300, the peak's clock unpublished"})";
  const DataFiles files({folder.string()});
  const DeviceProfile kin = profile_of("b200");
  const auto own = borrowed_profile(load_device("gb300", files), files);
  EXPECT_EQ(own->gemm.tiles, kin.gemm.tiles);
  EXPECT_EQ(own->gemm.launch, kin.gemm.launch);
  EXPECT_EQ(own->gemm.l2_bandwidth, kin.gemm.l2_bandwidth);
}

TEST(LoadProfile, KinOfAnotherGenerationWidensTheSpreadMore) {
  const double own = profile_of("l40s").gemm.record.spread;
  EXPECT_GT(profile_of("l4").gemm.record.spread, own);
  EXPECT_GT(profile_of("a40").gemm.record.spread, profile_of("l4").gemm.record.spread);
  // Compute capability 103 is 100 with other rates of narrow formats: one generation.
  EXPECT_EQ(profile_of("b300").gemm.record.spread, profile_of("gb200").gemm.record.spread);
}

TEST(LoadProfile, AProcessorGetsARoofline) {
  const DeviceProfile cpu = profile_of("cpu");
  EXPECT_FALSE(cpu.fitted);
  EXPECT_THAT(cpu.provenance, HasSubstr("roofline"));
  EXPECT_FALSE(cpu.gemm.tiles.empty());
  EXPECT_FALSE(cpu.attention.head_dims.empty());
  EXPECT_EQ(cpu.sustained_clock_factor, 1.0);
}

TEST(LoadProfile, EveryDeviceHasASustainedClockWithItsCause) {
  const DataFiles files;
  for (const std::string& id : files.names("devices")) {
    const DeviceProfile p = load_profile(load_device(id, files), files);
    EXPECT_GT(p.sustained_clock_factor, 0.5) << id;
    EXPECT_LE(p.sustained_clock_factor, 1.0) << id;
    EXPECT_FALSE(p.sustained_clock_cause.empty()) << id;
  }
}

}  // namespace
}  // namespace meshplan::profiles
