#include "planner/evaluate/evaluate_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "planner/fit/split.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A file of that name and text in a folder of its own.
std::string table(const std::string& name, const std::string& text) {
  const fs::path folder = fs::path(testing::TempDir()) / "evaluate_tables";
  fs::create_directories(folder);
  std::ofstream(folder / name) << text;
  return (folder / name).string();
}

// 4096 x 4096 weights are on one side of the split, 4096 x 8192 on the other (split.h of the fit).
std::string products(const std::string& device) {
  static_assert(is_fitted({4096, 4096}) != is_fitted({4096, 8192}));
  return table("gemm_" + device + ".csv",
               "dtype,m,n,k,seconds\nbf16,128,4096,4096,2e-5\nbf16,64,4096,8192,3e-5\n"
               "bf16,128,4096,8192,3e-5\n");
}

TablesReport evaluated(const std::string& path, const TablesQuestion& question) {
  return evaluate_tables({path}, question, {}, profiles::DataFiles());
}

TEST(EvaluateTables, TakesTheRowsOfOneHalf) {
  const std::string path = products("h100-sxm-80gb");
  const int fitted = is_fitted({4096, 4096}) ? 1 : 2;
  EXPECT_EQ(evaluated(path, {}).time.runs, 3);
  EXPECT_EQ(evaluated(path, {.half = Half::Fitted}).time.runs, fitted);
  EXPECT_EQ(evaluated(path, {.half = Half::Held}).time.runs, 3 - fitted);
}

TEST(EvaluateTables, NamesNumberFormatsBesidesBf16) {
  const std::string path = table("gemm_h200-sxm-141gb.csv",
                                 "dtype,m,n,k,seconds\nbf16,4096,8192,8192,7e-4\n"
                                 "fp8,4096,8192,8192,4e-4\n");
  const TablesReport report = evaluated(path, {});
  ASSERT_EQ(report.groups.size(), 2);
  EXPECT_EQ(report.groups[0].name, "h200-sxm-141gb gemm");
  EXPECT_EQ(report.groups[1].name, "h200-sxm-141gb gemm fp8");
}

TEST(EvaluateTables, AddsUpAKernelOverAllDevices) {
  const TablesReport report = evaluate_tables({products("h100-sxm-80gb"), products("l40s-48gb")},
                                              {}, {}, profiles::DataFiles());
  ASSERT_EQ(report.groups.size(), 3);
  EXPECT_EQ(report.groups[2].name, "2 devices gemm");
  EXPECT_EQ(report.groups[2].time.runs, 6);
  EXPECT_NEAR(report.groups[2].time.mape,
              (report.groups[0].time.mape + report.groups[1].time.mape) / 2, 1e-12);
}

TEST(EvaluateTables, PricesAnUnseenDeviceFromItsKin) {
  const std::string path = products("h100-sxm-80gb");
  EXPECT_EQ(evaluated(path, {}).groups.at(0).name, "h100-sxm-80gb gemm");
  const TablesReport unseen = evaluated(path, {.unseen = true});
  EXPECT_EQ(unseen.groups.at(0).name, "h100-sxm-80gb from h200-sxm-141gb gemm");
  EXPECT_NE(unseen.time.mape, evaluated(path, {}).time.mape);
}

TEST(EvaluateTables, RefusesAnUnseenDeviceWithoutKin) {
  try {
    (void)evaluated(products("host-cpu"), {.unseen = true});
    ADD_FAILURE() << "no refusal";
  } catch (const profiles::InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a device with measured kin"));
  }
}

TEST(EvaluateTables, TimesCollectivesAsTheirSourceDid) {
  const std::string header = "op,bytes,ranks,nodes,cluster,seconds,timed\n";
  const std::string row = "all_reduce,8,8,1,dgx-h100,1e-5,";
  const TablesReport report =
      evaluated(table("collectives.csv", header + row + "graph\n" + row + "launched\n"), {});
  ASSERT_EQ(report.groups.size(), 2);
  EXPECT_EQ(report.groups[0].name, "dgx-h100 all_reduce");
  EXPECT_EQ(report.groups[1].name, "dgx-h100 all_reduce launched");
  // Eight launches of 4 us, of a row that took 10 us.
  ASSERT_EQ(report.worst.size(), 2);
  EXPECT_NEAR(report.worst[0].predicted.count(), 32e-6, 1e-9);
  EXPECT_LT(report.worst[1].predicted.count(), 32e-6);
}

}  // namespace
}  // namespace meshplan::planner
