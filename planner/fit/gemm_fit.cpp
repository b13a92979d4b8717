#include "planner/fit/gemm_fit.h"

#include <algorithm>
#include <cmath>

#include "planner/fit/errors.h"
#include "planner/fit/minimise.h"
#include "planner/fit/residual_grid.h"
#include "planner/fit/split.h"

namespace meshplan::planner {
namespace {

using profiles::DeviceProfile;
using profiles::GemmConstants;
using profiles::Seconds;

constexpr std::size_t kSample = 3000;

bool fitted(const GemmMeasurement& row) { return is_fitted({row.shape.n, row.shape.k}); }

double log_ratio(const GemmMeasurement& row, const DeviceProfile& profile) {
  return std::log(row.seconds / gemm_model_seconds(row.shape, row.type, profile));
}

Parameter seconds_parameter(Seconds& value, double least, double most) {
  return {[&value] { return value.count(); }, [&value](double v) { value = Seconds{v}; }, least,
          most};
}

std::vector<Parameter> parameters(GemmConstants& c) {
  std::vector<Parameter> out = {seconds_parameter(c.launch, 1e-7, 2e-5),
                                seconds_parameter(c.vector_launch, 1e-7, 2e-5),
                                seconds_parameter(c.tile_overhead, 1e-8, 1e-5),
                                seconds_parameter(c.area_overhead, 1e-8, 1e-5),
                                seconds_parameter(c.split_overhead, 1e-8, 1e-5),
                                parameter(c.quantisation, 0.05, 1),
                                parameter(c.memory_efficiency, 0.3, 1),
                                parameter(c.store_efficiency, 0.3, 1.5),
                                parameter(c.l2_bandwidth, 1, 4),
                                parameter(c.l2_share, 0.05, 1),
                                parameter(c.raster_width, 128, 65536),
                                parameter(c.block_bandwidth, 0.3, 10),
                                parameter(c.overlap, 1, 12)};
  for (profiles::GemmTile& tile : c.tiles) out.push_back(parameter(tile.efficiency, 0.02, 1));
  return out;
}

std::vector<std::vector<double>> grid_axes() {
  const std::vector<double> features = {32,   64,   128,  256,   512,  1024,
                                        2048, 4096, 8192, 16384, 65536};
  return {
      {1, 2, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768}, features, features};
}

}  // namespace

GemmConstants usual_gemm_constants() {
  GemmConstants out;
  out.tiles = {{256, 128, 0.80}, {128, 256, 0.80}, {128, 128, 0.80},
               {64, 256, 0.75},  {256, 64, 0.75},  {64, 128, 0.70},
               {128, 64, 0.70},  {64, 64, 0.55},   {16, 64, 0.15}};
  return out;
}

GemmConstants fit_gemm(const profiles::Device& device, const std::vector<GemmMeasurement>& rows) {
  DeviceProfile profile;
  profile.device = device;
  profile.gemm = usual_gemm_constants();
  GemmConstants& c = profile.gemm;

  std::vector<GemmMeasurement> chosen;
  for (const GemmMeasurement& row : rows) {
    if (fitted(row)) chosen.push_back(row);
  }
  std::vector<GemmMeasurement> sample;
  const std::size_t step = chosen.size() / kSample + 1;
  for (std::size_t i = 0; i < chosen.size(); i += step) sample.push_back(chosen[i]);
  if (sample.empty()) return c;

  std::vector<Parameter> free = parameters(c);
  minimise(free, [&] {
    double sum = 0;
    for (const GemmMeasurement& row : sample) sum += robust_loss(log_ratio(row, profile));
    return sum / static_cast<double>(sample.size());
  });

  std::vector<Residual> residuals;
  for (const GemmMeasurement& row : chosen) {
    const auto place = gemm_grid_place(row.shape);
    residuals.push_back({{place.begin(), place.end()}, log_ratio(row, profile)});
  }
  c.residual = fit_residual_grid(grid_axes(), residuals, {.smooth = 0.3, .shrink = 0.05});

  std::vector<double> on_fitted, held_out;
  for (const GemmMeasurement& row : rows) {
    const double error = log_ratio(row, profile) - c.residual.at(gemm_grid_place(row.shape)).value;
    (fitted(row) ? on_fitted : held_out).push_back(error);
  }
  c.record = {error_summary(on_fitted), error_summary(held_out),
              robust_spread(held_out.empty() ? on_fitted : held_out)};
  return c;
}

}  // namespace meshplan::planner
