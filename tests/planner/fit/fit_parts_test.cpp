#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "planner/fit/errors.h"
#include "planner/fit/gemm_fit.h"
#include "planner/fit/minimise.h"
#include "planner/fit/residual_grid.h"
#include "planner/fit/split.h"
#include "planner/fit/streaming.h"
#include "planner/fit/tables.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using testing::HasSubstr;

TEST(Split, IsTheCommittedHash) {
  // Without numbers FNV-1a is its offset basis, cbf29ce484222325: bit 32 is 0 (upper half ends in
  // ...e4 = 11100100).
  static_assert(is_fitted({}));
  int fitted = 0;
  for (std::int64_t n = 1; n <= 100; ++n) {
    for (std::int64_t k = 1; k <= 100; ++k) fitted += is_fitted({n, k}) ? 1 : 0;
  }
  EXPECT_NEAR(fitted, 5000, 250);  // 5 sigma of a fair coin
}

TEST(Minimise, FindsTheBottomOfAValley) {
  double a = 1, b = 1;
  std::vector<Parameter> free = {parameter(a, 1e-3, 1e3), parameter(b, 1e-3, 1e3)};
  const double loss = minimise(
      free, [&] { return std::pow(std::log(a / 20), 2) + std::pow(std::log(b / 0.05), 2); });
  EXPECT_NEAR(a, 20, 0.4);
  EXPECT_NEAR(b, 0.05, 0.001);
  EXPECT_LT(loss, 1e-3);
}

TEST(Minimise, StaysWithinTheBounds) {
  double a = 1;
  std::vector<Parameter> free = {parameter(a, 0.5, 2)};
  minimise(free, [&] { return -a; });
  EXPECT_EQ(a, 2);
}

TEST(ResidualGrid, RestoresALinearFieldFromScatteredRows) {
  // ln ratio = 0.1 ln x - 0.05 ln y, sampled between the nodes.
  const auto field = [](double x, double y) { return 0.1 * std::log(x) - 0.05 * std::log(y); };
  std::vector<Residual> rows;
  for (double x = 1; x < 16; x *= 1.19) {
    for (double y = 1; y < 16; y *= 1.19) rows.push_back({{x, y}, field(x, y)});
  }
  const auto grid = fit_residual_grid({{1, 4, 16}, {1, 4, 16}}, rows, {1e-3, 1e-3});
  for (const double x : {1.0, 3.0, 10.0}) {
    for (const double y : {1.0, 5.0, 14.0}) {
      EXPECT_NEAR(grid.at(std::vector{x, y}).value, field(x, y), 0.004);
    }
  }
}

TEST(ResidualGrid, OneOutlierDoesNotBendIt) {
  std::vector<Residual> rows(50, Residual{{2}, 0.02});
  rows.push_back({{2}, 5.0});
  EXPECT_NEAR(fit_residual_grid({{1, 2, 4}}, rows, {0.1, 0.01}).at(std::vector{2.0}).value, 0.02,
              0.004);
}

TEST(ErrorSummary, CountsRelativeErrorsOfPredictions) {
  // measured / predicted = 2, 1, 0.5: predictions off by -50 %, 0, +100 %.
  const auto summary = error_summary({std::log(2.0), 0, std::log(0.5)});
  EXPECT_EQ(summary.rows, 3);
  EXPECT_NEAR(summary.median, 0.5, 1e-4);
  EXPECT_NEAR(summary.p95, 1.0, 1e-4);
  EXPECT_NEAR(summary.bias, 0.0, 1e-4);
}

TEST(RobustSpread, IsSigmaOfTheMiddleOfANormalDistribution) {
  // Quantiles of a normal distribution of sigma 0.2 at 1 %, 2 %, ...: the 10 % and 90 % ones lie
  // 1.2816 sigma from the middle. Between them linearly, in their place, outliers beyond.
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) {
    values.push_back(i < 10 ? -9 : i > 90 ? 9 : 0.2 * 1.2816 * (i - 50) / 40);
  }
  EXPECT_NEAR(robust_spread(values), 0.2, 1e-3);
}

/// A table file that goes away with the test.
class TableFile {
 public:
  explicit TableFile(const std::string& text)
      : path_(
            (std::filesystem::temp_directory_path() /
             (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".csv"))
                .string()) {
    std::ofstream(path_) << text;
  }
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;
  ~TableFile() { std::remove(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string refusal(const std::string& text) {
  const TableFile file(text);
  try {
    read_tables({file.path()});
  } catch (const profiles::InputError& error) {
    return error.what();
  }
  return "(accepted)";
}

TEST(ReadTables, TellsGemmFromAttentionByTheirColumns) {
  const TableFile gemm("dtype,m,n,k,seconds\nbf16,16,32,64,1e-6\n");
  const Tables tables = read_tables({gemm.path()});
  ASSERT_EQ(tables.gemm.size(), 1U);
  EXPECT_EQ(tables.gemm[0].shape.k, 64);
  EXPECT_EQ(tables.gemm[0].seconds, 1e-6);
  ASSERT_EQ(tables.sources.size(), 1U);
  EXPECT_EQ(tables.sources[0].rows, 1);
  EXPECT_EQ(tables.sources[0].sha256.size(), 64U);
}

TEST(ReadTables, RefusesWhatItCannotFit) {
  EXPECT_THAT(refusal("dtype,m,n,k,seconds\nint8,16,32,64,1e-6\n"), HasSubstr("bf16"));
  EXPECT_THAT(refusal("dtype,m,n,k,seconds\nbf16,16,32,64,-1\n"), HasSubstr(":2"));
  EXPECT_THAT(refusal("dtype,m,n,seconds\nbf16,16,32,1e-6\n"), HasSubstr("'k'"));
  EXPECT_THAT(refusal("phase,batch,query_len,kv_len,heads,kv_heads,head_dim,dtype,seconds\n"
                      "decode,1,2,64,8,8,128,bf16,1e-6\n"),
              HasSubstr("1 in a decode row"));
  EXPECT_THROW(read_tables({"no/such/table.csv"}), profiles::InputError);
}

TEST(StreamingEfficiency, IsWhatTheFastestReadersReach) {
  profiles::Device device;
  device.l2_cache = profiles::Bytes{1 << 20};
  device.memory_bandwidth = profiles::BytesPerSecond{1e12};
  EXPECT_EQ(streaming_efficiency(device, {}), profiles::MemoryBoundConstants{}.efficiency);

  // Twenty products of 1 to 20 rows at 0.61 to 0.80 of the bandwidth: the best is one in twenty.
  // Those held out, of many rows or within four times L2 say nothing.
  static_assert(is_fitted({4096, 8192}) && !is_fitted({4096, 4096}) && is_fitted({256, 256}));
  Tables tables;
  const auto add = [&](std::int64_t m, std::int64_t n, std::int64_t k, double share) {
    const double bytes = 2.0 * static_cast<double>(m * k + k * n + m * n);
    tables.gemm.push_back({{m, n, k}, profiles::DataType::Bf16, bytes / (share * 1e12)});
  };
  for (int m = 1; m <= 20; ++m) add(m, 4096, 8192, 0.6 + 0.01 * m);
  add(16, 4096, 4096, 0.99);
  add(65, 4096, 8192, 0.99);
  add(1, 256, 256, 0.99);
  EXPECT_NEAR(streaming_efficiency(device, tables), 0.80, 1e-9);
}

TEST(FitGemm, FindsTheConstantsThatMadeTheTable) {
  // A device whose GEMMs follow the formula: fitting from the usual constants must predict the
  // rows held out within 2 % in the median.
  profiles::DeviceProfile truth;
  truth.device.multiprocessors = 100;
  truth.device.peak[static_cast<std::size_t>(profiles::DataType::Fp32)] = {1e13};
  truth.device.peak[static_cast<std::size_t>(profiles::DataType::Bf16)] = {3e14};
  truth.device.memory_bandwidth = {2e12};
  truth.device.l2_cache = {40 << 20};
  truth.gemm = usual_gemm_constants();
  truth.gemm.launch = truth.gemm.vector_launch = profiles::Seconds{5e-6};
  truth.gemm.memory_efficiency = 0.7;
  for (profiles::GemmTile& tile : truth.gemm.tiles) tile.efficiency *= 0.8;
  std::vector<GemmMeasurement> rows;
  for (std::int64_t m = 1; m <= 8192; m *= 4) {
    for (std::int64_t n = 64; n <= 16384; n *= 2) {
      for (std::int64_t k = 64; k <= 16384; k *= 2) {
        const GemmShape s{m, n, k, 1};
        rows.push_back(
            {s, profiles::DataType::Bf16, gemm_model_seconds(s, profiles::DataType::Bf16, truth)});
      }
    }
  }
  const auto fitted = fit_gemm(truth.device, rows);
  EXPECT_LT(fitted.record.held_out.median, 0.02);
  EXPECT_GT(fitted.record.held_out.rows, 150);
  EXPECT_LT(fitted.record.held_out.p90, 0.08);
}

}  // namespace
}  // namespace meshplan::planner
