#include "planner/fit/attention_fit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "planner/fit/errors.h"
#include "planner/fit/minimise.h"
#include "planner/fit/residual_grid.h"
#include "planner/fit/split.h"

namespace meshplan::planner {
namespace {

using profiles::AttentionConstants;
using profiles::DecodeConstants;
using profiles::DeviceProfile;
using profiles::Seconds;
using Rows = std::vector<AttentionMeasurement>;
using ModelSeconds = std::function<double(const AttentionShape&)>;

constexpr std::size_t kSample = 2500;

bool fitted(const AttentionMeasurement& row) {
  return is_fitted({row.shape.heads, row.shape.kv_heads, row.shape.head_dim});
}

Rows fitted_rows(const Rows& rows) {
  Rows out;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(out), fitted);
  return out;
}

Rows sample_of(const Rows& rows) {
  Rows out;
  const std::size_t step = rows.size() / kSample + 1;
  for (std::size_t i = 0; i < rows.size(); i += step) out.push_back(rows[i]);
  return out;
}

double mean_loss(const Rows& rows, const ModelSeconds& model) {
  double sum = 0;
  for (const AttentionMeasurement& row : rows) {
    sum += robust_loss(std::log(row.seconds / model(row.shape)));
  }
  return sum / static_cast<double>(rows.size());
}

Parameter seconds_parameter(Seconds& value, double least, double most) {
  return {[&value] { return value.count(); }, [&value](double v) { value = Seconds{v}; }, least,
          most};
}

std::vector<double> head_dims(const Rows& rows) {
  std::set<int> dims;
  for (const AttentionMeasurement& row : rows) dims.insert(row.shape.head_dim);
  return {dims.begin(), dims.end()};
}

/// Fits the grid on `chosen`, and writes what remains of it on all `rows` into `record`.
profiles::LogGrid fit_grid(const std::vector<std::vector<double>>& axes, const Rows& chosen,
                           const Rows& rows, const ModelSeconds& model,
                           const std::function<std::vector<double>(const AttentionShape&)>& place,
                           profiles::FitRecord& record) {
  std::vector<Residual> residuals;
  for (const AttentionMeasurement& row : chosen) {
    residuals.push_back({place(row.shape), std::log(row.seconds / model(row.shape))});
  }
  profiles::LogGrid grid = fit_residual_grid(axes, residuals, {.smooth = 0.03, .shrink = 0.01});
  std::vector<double> on_fitted, held_out;
  for (const AttentionMeasurement& row : rows) {
    const double error = std::log(row.seconds / model(row.shape)) - grid.at(place(row.shape)).value;
    (fitted(row) ? on_fitted : held_out).push_back(error);
  }
  record = {error_summary(on_fitted), error_summary(held_out),
            robust_spread(held_out.empty() ? on_fitted : held_out)};
  return grid;
}

}  // namespace

AttentionConstants fit_attention(const profiles::Device& device, const Rows& rows) {
  DeviceProfile profile;
  profile.device = device;
  AttentionConstants& c = profile.attention;
  const Rows chosen = fitted_rows(rows), sample = sample_of(chosen);
  if (sample.empty()) {
    c.head_dims = {{64, 0.45}, {128, 0.6}, {256, 0.65}};
    return c;
  }
  const ModelSeconds model = [&](const AttentionShape& s) {
    return flash_model_seconds(s, AttentionPass::Forward, profiles::DataType::Bf16, profile);
  };

  AttentionConstants best;
  double least = std::numeric_limits<double>::infinity();
  for (const int query_tile : {64, 128, 256}) {
    c = {};
    c.query_tile = query_tile;
    for (const double dim : head_dims(chosen)) c.head_dims.push_back({static_cast<int>(dim), 0.6});
    std::vector<Parameter> free = {
        seconds_parameter(c.launch, 1e-6, 5e-5), seconds_parameter(c.block_overhead, 1e-8, 1e-4),
        parameter(c.quantisation, 0.05, 1),      parameter(c.block_rate, 0.2, 5),
        parameter(c.memory_efficiency, 0.2, 2),  parameter(c.overlap, 1, 12),
        seconds_parameter(c.token, 1e-12, 1e-6)};
    for (profiles::HeadDimEfficiency& e : c.head_dims) {
      free.push_back(parameter(e.forward, 0.05, 1));
    }
    const double loss = minimise(free, [&] { return mean_loss(sample, model); });
    if (loss < least) {
      least = loss;
      best = c;
    }
  }
  c = best;
  const std::vector<std::vector<double>> axes = {
      {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096},
      {16, 32, 64, 128, 256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 12288, 16384},
      {1, 4, 16},
      head_dims(chosen)};
  c.residual = fit_grid(
      axes, chosen, rows, model,
      [](const AttentionShape& s) {
        const auto at = flash_grid_place(s);
        return std::vector<double>(at.begin(), at.end());
      },
      c.record);
  return c;
}

DecodeConstants fit_decode(const profiles::Device& device, const Rows& rows) {
  DeviceProfile profile;
  profile.device = device;
  DecodeConstants& c = profile.decode;
  const Rows chosen = fitted_rows(rows), sample = sample_of(chosen);
  if (sample.empty()) return c;
  const ModelSeconds model = [&](const AttentionShape& s) {
    return decode_model_seconds(s, profiles::DataType::Bf16, profile);
  };

  DecodeConstants best;
  double least = std::numeric_limits<double>::infinity();
  for (const int least_split_group : {1, 2}) {
    c = {};
    c.least_split_group = least_split_group;
    std::vector<Parameter> free = {seconds_parameter(c.launch, 1e-6, 5e-5),
                                   seconds_parameter(c.block_overhead, 1e-8, 1e-4),
                                   seconds_parameter(c.split_overhead, 1e-8, 1e-4),
                                   parameter(c.split_tokens, 16, 4096),
                                   parameter(c.memory_efficiency, 0.3, 1),
                                   parameter(c.block_bandwidth, 0.2, 10),
                                   parameter(c.l2_bandwidth, 1, 4),
                                   parameter(c.l2_share, 0.05, 1),
                                   parameter(c.overlap, 1, 12)};
    const double loss = minimise(free, [&] { return mean_loss(sample, model); });
    if (loss < least) {
      least = loss;
      best = c;
    }
  }
  c = best;
  const std::vector<std::vector<double>> axes = {
      {1, 4, 16, 64, 256, 512, 1024, 2048},
      {1, 2, 8},
      {2, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 131072},
      {1, 2, 8, 32},
      head_dims(chosen)};
  c.residual = fit_grid(
      axes, chosen, rows, model,
      [](const AttentionShape& s) {
        const auto at = decode_grid_place(s);
        return std::vector<double>(at.begin(), at.end());
      },
      c.record);
  return c;
}

}  // namespace meshplan::planner
