#include "planner/fit/fit_profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "planner/fit/errors.h"
#include "planner/fit/split.h"
#include "profiles/borrowed_profile.h"
#include "profiles/data_files.h"
#include "profiles/device_json.h"
#include "profiles/device_profile_json.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

/// What the shipped profile of a device must reach on the rows it was not fitted on: the figures
/// asked of it, and some slack where its table is too noisy for them. `unseen`: the medians on its
/// whole tables when only its kin was measured, a little above what docs/accuracy.md shows.
struct Target {
  const char* device;
  double gemm_median, gemm_p90, attention_median;
  struct {
    double gemm, prefill, decode;
  } unseen;
};

/// Median of |predicted / measured - 1| over `rows`, priced on `profile`.
struct Medians {
  double gemm, prefill, decode;
};
Medians medians(const Tables& rows, const profiles::DeviceProfile& profile) {
  std::vector<double> gemm, prefill, decode;
  for (const GemmMeasurement& row : rows.gemm) {
    gemm.push_back(std::log(row.seconds / gemm_time(row.shape, row.type, profile).time.count()));
  }
  for (const AttentionMeasurement& row : rows.attention) {
    const Estimate price = attention_time(row.shape, AttentionPass::Forward, AttentionKernel::Flash,
                                          row.type, profile);
    (row.decode() ? decode : prefill).push_back(std::log(row.seconds / price.time.count()));
  }
  return {error_summary(gemm).median, error_summary(prefill).median, error_summary(decode).median};
}

class ShippedProfile : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    const char* data = std::getenv("MESHPLAN_DATA");
    if (data == nullptr) GTEST_SKIP() << "MESHPLAN_DATA is not set: no recorded tables";
    const std::string folder = std::string(data) + "/", id = GetParam().device;
    paths_ = {folder + "gemm_" + id + ".csv", folder + "attention_" + id + ".csv"};
    for (const std::string& path : paths_) {
      if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    }
    device_ = profiles::load_device(id, files_);
  }

  profiles::DataFiles files_;
  std::vector<std::string> paths_;
  profiles::Device device_;
};

TEST_P(ShippedProfile, PredictsTheRowsHeldOut) {
  const Tables tables = read_tables(paths_);
  const auto profile = profiles::load_profile(device_, files_);
  ASSERT_TRUE(profile.fitted);
  std::vector<double> gemm, attention;
  for (const GemmMeasurement& row : tables.gemm) {
    if (is_fitted({row.shape.n, row.shape.k})) continue;
    gemm.push_back(std::log(row.seconds / gemm_time(row.shape, row.type, profile).time.count()));
  }
  for (const AttentionMeasurement& row : tables.attention) {
    if (is_fitted({row.shape.heads, row.shape.kv_heads, row.shape.head_dim})) continue;
    attention.push_back(
        std::log(row.seconds / attention_time(row.shape, AttentionPass::Forward,
                                              AttentionKernel::Flash, row.type, profile)
                                   .time.count()));
  }
  const auto gemm_errors = error_summary(gemm), attention_errors = error_summary(attention);
  EXPECT_LT(gemm_errors.median, GetParam().gemm_median);
  EXPECT_LT(gemm_errors.p90, GetParam().gemm_p90);
  EXPECT_LT(std::abs(gemm_errors.bias), 0.02);
  EXPECT_LT(attention_errors.median, GetParam().attention_median);
  EXPECT_LT(std::abs(attention_errors.bias), 0.02);
}

TEST_P(ShippedProfile, IsPredictedByItsKinWhenItWasNeverMeasured) {
  const auto borrowed = profiles::borrowed_profile(device_, files_);
  ASSERT_TRUE(borrowed);
  EXPECT_FALSE(borrowed->fitted);
  const Medians found = medians(read_tables(paths_), *borrowed);
  EXPECT_LT(found.gemm, GetParam().unseen.gemm) << borrowed->name;
  EXPECT_LT(found.prefill, GetParam().unseen.prefill) << borrowed->name;
  EXPECT_LT(found.decode, GetParam().unseen.decode) << borrowed->name;
}

TEST_P(ShippedProfile, IsWhatFittingTheTablesYields) {
  // Constants may differ in the last digits between compilers; accuracy may not.
  const auto shipped = profiles::load_profile(device_, files_);
  const auto fresh = fit_profile(device_, read_tables(paths_), shipped.date);
  EXPECT_EQ(fresh.tables, shipped.tables);
  EXPECT_EQ(fresh.provenance, shipped.provenance);
  EXPECT_NEAR(fresh.gemm.record.held_out.median, shipped.gemm.record.held_out.median, 0.01);
  EXPECT_NEAR(fresh.attention.record.held_out.median, shipped.attention.record.held_out.median,
              0.01);
  EXPECT_NEAR(fresh.decode.record.held_out.median, shipped.decode.record.held_out.median, 0.01);
  // And its text reads back as the same constants.
  const auto again =
      profiles::read_profile(profiles::JsonNode::parse(profile_text(fresh), "fresh.json"), device_);
  EXPECT_EQ(again.gemm, fresh.gemm);
  EXPECT_EQ(again.attention, fresh.attention);
  EXPECT_EQ(again.decode, fresh.decode);
  EXPECT_EQ(again.memory_bound, fresh.memory_bound);
}

TEST(FitProfile, RefusesOtherFormatsThanBf16) {
  Tables tables;
  tables.gemm.push_back({{16, 32, 64, 1}, profiles::DataType::Fp8, 1e-6});
  const profiles::Device device = profiles::load_device("h100", profiles::DataFiles());
  EXPECT_THROW(fit_profile(device, tables, "2026-11-27"), profiles::InputError);
}

INSTANTIATE_TEST_SUITE_P(
    Devices, ShippedProfile,
    testing::Values(Target{"a100-sxm-80gb", 0.05, 0.15, 0.04, {0.10, 0.11, 0.20}},
                    Target{"h100-sxm-80gb", 0.05, 0.15, 0.04, {0.045, 0.065, 0.03}},
                    Target{"h200-sxm-141gb", 0.05, 0.15, 0.04, {0.045, 0.055, 0.03}},
                    Target{"b200-sxm-180gb", 0.05, 0.15, 0.04, {0.13, 0.16, 0.32}},
                    Target{"l40s-48gb", 0.065, 0.18, 0.04, {0.14, 0.16, 0.10}}),
    [](const auto& param) {
      std::string name = param.param.device;
      std::erase(name, '-');
      return name;
    });

}  // namespace
}  // namespace meshplan::planner
