#include "profiles/device_profile_json.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "profiles/sha256.h"

namespace meshplan::profiles {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 3> kGemmAxes = {"m", "n", "k"};
constexpr std::array<std::string_view, 4> kAttentionAxes = {"batch_heads", "query_len",
                                                            "heads_per_kv_head", "head_dim"};
constexpr std::array<std::string_view, 5> kDecodeAxes = {"batch", "kv_heads", "kv_len",
                                                         "heads_per_kv_head", "head_dim"};

Json grid_json(const LogGrid& grid, std::span<const std::string_view> names) {
  Json out;
  for (std::size_t a = 0; a < grid.axes().size(); ++a) {
    out["axes"][std::string(names[a])] = grid.axes()[a];
  }
  Json thousandths = Json::array();
  for (const double value : grid.values()) thousandths.push_back(std::lround(value * 1000));
  out["ln_ratio_thousandths"] = std::move(thousandths);
  return out;
}

LogGrid read_grid(const JsonNode& node, std::span<const std::string_view> names) {
  node.refuse_unknown_keys({"axes", "ln_ratio_thousandths"});
  std::vector<std::vector<double>> axes;
  for (const std::string_view name : names) {
    std::vector<double>& axis = axes.emplace_back();
    for (const JsonNode& at : node.at("axes").at(name).elements()) {
      axis.push_back(at.positive_number());
    }
  }
  std::vector<double> values;
  for (const JsonNode& value : node.at("ln_ratio_thousandths").elements()) {
    values.push_back(static_cast<double>(value.integer(-10000, 10000)) / 1000);
  }
  try {
    return {std::move(axes), std::move(values)};
  } catch (const std::invalid_argument& error) {
    node.refuse(error.what());
  }
}

Json errors_json(const ErrorSummary& e) {
  return {{"rows", e.rows}, {"median", e.median}, {"p90", e.p90}, {"p95", e.p95}, {"bias", e.bias}};
}

ErrorSummary read_errors(const JsonNode& node) {
  node.refuse_unknown_keys({"rows", "median", "p90", "p95", "bias"});
  return {static_cast<int>(node.at("rows").integer(0, INT32_MAX)), node.at("median").number(),
          node.at("p90").number(), node.at("p95").number(), node.at("bias").number()};
}

Json record_json(const FitRecord& r) {
  return {{"fitted", errors_json(r.fitted)},
          {"held_out", errors_json(r.held_out)},
          {"spread", r.spread}};
}

FitRecord read_record(const JsonNode& node) {
  node.refuse_unknown_keys({"fitted", "held_out", "spread"});
  return {read_errors(node.at("fitted")), read_errors(node.at("held_out")),
          node.at("spread").positive_number()};
}

Seconds read_seconds(const JsonNode& node) { return Seconds{node.positive_number()}; }

/// A share of something: above 0, and not so large that it must be a slip.
double read_share(const JsonNode& node) {
  const double value = node.positive_number();
  if (value > 2) node.refuse("a share, at most 2");
  return value;
}

/// 0 allowed, 1 at most.
double read_quantisation(const JsonNode& node) {
  const double value = node.number();
  if (value < 0 || value > 1) node.refuse("a number within [0, 1]");
  return value;
}

double read_overlap(const JsonNode& node) {
  const double value = node.positive_number();
  if (value < 1 || value > 100) node.refuse("an exponent within [1, 100]");
  return value;
}

Json gemm_json(const GemmConstants& c) {
  Json tiles = Json::array();
  for (const GemmTile& tile : c.tiles) {
    tiles.push_back(
        {{"rows", tile.rows}, {"columns", tile.columns}, {"efficiency", tile.efficiency}});
  }
  Json out = {{"launch_seconds", c.launch.count()},
              {"vector_launch_seconds", c.vector_launch.count()},
              {"tile_overhead_seconds", c.tile_overhead.count()},
              {"area_overhead_seconds", c.area_overhead.count()},
              {"split_overhead_seconds", c.split_overhead.count()},
              {"quantisation", c.quantisation},
              {"memory_efficiency", c.memory_efficiency},
              {"store_efficiency", c.store_efficiency},
              {"l2_bandwidth", c.l2_bandwidth},
              {"l2_share", c.l2_share},
              {"raster_width", c.raster_width},
              {"block_bandwidth", c.block_bandwidth},
              {"overlap", c.overlap},
              {"tiles", std::move(tiles)},
              {"record", record_json(c.record)}};
  if (!c.residual.empty()) out["residual"] = grid_json(c.residual, kGemmAxes);
  return out;
}

GemmConstants read_gemm(const JsonNode& node) {
  node.refuse_unknown_keys({"launch_seconds", "vector_launch_seconds", "tile_overhead_seconds",
                            "area_overhead_seconds", "split_overhead_seconds", "quantisation",
                            "memory_efficiency", "store_efficiency", "l2_bandwidth", "l2_share",
                            "raster_width", "block_bandwidth", "overlap", "tiles", "record",
                            "residual"});
  GemmConstants c;
  c.launch = read_seconds(node.at("launch_seconds"));
  c.vector_launch = read_seconds(node.at("vector_launch_seconds"));
  c.tile_overhead = read_seconds(node.at("tile_overhead_seconds"));
  c.area_overhead = read_seconds(node.at("area_overhead_seconds"));
  c.split_overhead = read_seconds(node.at("split_overhead_seconds"));
  c.quantisation = read_quantisation(node.at("quantisation"));
  c.memory_efficiency = read_share(node.at("memory_efficiency"));
  c.store_efficiency = read_share(node.at("store_efficiency"));
  c.l2_bandwidth = node.at("l2_bandwidth").positive_number();
  c.l2_share = read_share(node.at("l2_share"));
  c.raster_width = node.at("raster_width").positive_number();
  c.block_bandwidth = node.at("block_bandwidth").positive_number();
  c.overlap = read_overlap(node.at("overlap"));
  const JsonNode tiles = node.at("tiles");
  for (const JsonNode& tile : tiles.elements()) {
    tile.refuse_unknown_keys({"rows", "columns", "efficiency"});
    c.tiles.push_back(
        {tile.at("rows").count(), tile.at("columns").count(), read_share(tile.at("efficiency"))});
  }
  if (c.tiles.empty()) tiles.refuse("at least one tile");
  c.record = read_record(node.at("record"));
  if (const auto grid = node.find_value("residual")) c.residual = read_grid(*grid, kGemmAxes);
  return c;
}

Json attention_json(const AttentionConstants& c) {
  Json dims = Json::array();
  for (const HeadDimEfficiency& e : c.head_dims) {
    dims.push_back({{"head_dim", e.head_dim}, {"forward", e.forward}});
  }
  Json out = {{"launch_seconds", c.launch.count()},
              {"block_overhead_seconds", c.block_overhead.count()},
              {"backward_efficiency", c.backward_efficiency},
              {"query_tile", c.query_tile},
              {"quantisation", c.quantisation},
              {"block_rate", c.block_rate},
              {"memory_efficiency", c.memory_efficiency},
              {"token_seconds", c.token.count()},
              {"overlap", c.overlap},
              {"efficiency", std::move(dims)},
              {"record", record_json(c.record)}};
  if (c.dropout_pair > Seconds{0}) out["dropout_pair_seconds"] = c.dropout_pair.count();
  if (!c.residual.empty()) out["residual"] = grid_json(c.residual, kAttentionAxes);
  return out;
}

AttentionConstants read_attention(const JsonNode& node) {
  node.refuse_unknown_keys({"launch_seconds", "block_overhead_seconds", "backward_efficiency",
                            "query_tile", "quantisation", "block_rate", "memory_efficiency",
                            "overlap", "token_seconds", "narrow_token_seconds",
                            "wide_token_seconds", "efficiency", "dropout_pair_seconds", "record",
                            "residual"});
  AttentionConstants c;
  c.launch = read_seconds(node.at("launch_seconds"));
  c.block_overhead = read_seconds(node.at("block_overhead_seconds"));
  c.backward_efficiency = read_share(node.at("backward_efficiency"));
  c.query_tile = node.at("query_tile").count();
  c.quantisation = read_quantisation(node.at("quantisation"));
  c.block_rate = node.at("block_rate").positive_number();
  c.memory_efficiency = read_share(node.at("memory_efficiency"));
  // Files of before December 2026 have a constant for narrow and one for wide keys.
  const auto token = node.find_value("token_seconds");
  c.token = read_seconds(token ? *token : node.at("wide_token_seconds"));
  c.overlap = read_overlap(node.at("overlap"));
  if (const auto pair = node.find_value("dropout_pair_seconds")) {
    c.dropout_pair = read_seconds(*pair);
  }
  const JsonNode dims = node.at("efficiency");
  for (const JsonNode& e : dims.elements()) {
    e.refuse_unknown_keys({"head_dim", "forward"});
    c.head_dims.push_back({e.at("head_dim").count(), read_share(e.at("forward"))});
    if (c.head_dims.size() > 1 && c.head_dims.rbegin()[1].head_dim >= c.head_dims.back().head_dim) {
      e.at("head_dim").refuse("ascending head dimensions");
    }
  }
  if (c.head_dims.empty()) dims.refuse("at least one head dimension");
  c.record = read_record(node.at("record"));
  if (const auto grid = node.find_value("residual")) c.residual = read_grid(*grid, kAttentionAxes);
  return c;
}

Json decode_json(const DecodeConstants& c) {
  Json out = {{"launch_seconds", c.launch.count()},
              {"block_overhead_seconds", c.block_overhead.count()},
              {"split_overhead_seconds", c.split_overhead.count()},
              {"split_tokens", c.split_tokens},
              {"least_split_group", c.least_split_group},
              {"memory_efficiency", c.memory_efficiency},
              {"block_bandwidth", c.block_bandwidth},
              {"l2_bandwidth", c.l2_bandwidth},
              {"l2_share", c.l2_share},
              {"overlap", c.overlap},
              {"record", record_json(c.record)}};
  if (!c.residual.empty()) out["residual"] = grid_json(c.residual, kDecodeAxes);
  return out;
}

DecodeConstants read_decode(const JsonNode& node) {
  node.refuse_unknown_keys({"launch_seconds", "block_overhead_seconds", "split_overhead_seconds",
                            "split_tokens", "least_split_group", "memory_efficiency",
                            "block_bandwidth", "l2_bandwidth", "l2_share", "overlap", "record",
                            "residual"});
  DecodeConstants c;
  c.launch = read_seconds(node.at("launch_seconds"));
  c.block_overhead = read_seconds(node.at("block_overhead_seconds"));
  c.split_overhead = read_seconds(node.at("split_overhead_seconds"));
  c.split_tokens = node.at("split_tokens").positive_number();
  c.least_split_group = node.at("least_split_group").count();
  c.memory_efficiency = read_share(node.at("memory_efficiency"));
  c.block_bandwidth = node.at("block_bandwidth").positive_number();
  c.l2_bandwidth = node.at("l2_bandwidth").positive_number();
  c.l2_share = read_share(node.at("l2_share"));
  c.overlap = read_overlap(node.at("overlap"));
  c.record = read_record(node.at("record"));
  if (const auto grid = node.find_value("residual")) c.residual = read_grid(*grid, kDecodeAxes);
  return c;
}

Json memory_bound_json(const MemoryBoundConstants& c) {
  return {{"launch_seconds", c.launch.count()},
          {"efficiency", c.efficiency},
          {"l2_bandwidth", c.l2_bandwidth},
          {"l2_share", c.l2_share}};
}

MemoryBoundConstants read_memory_bound(const JsonNode& node) {
  node.refuse_unknown_keys({"launch_seconds", "efficiency", "l2_bandwidth", "l2_share"});
  return {read_seconds(node.at("launch_seconds")), read_share(node.at("efficiency")),
          node.at("l2_bandwidth").positive_number(), read_share(node.at("l2_share"))};
}

Json factors_json(const TimeFactors& c) {
  return {{"gemm", c.gemm}, {"attention", c.attention}, {"memory_bound", c.memory_bound}};
}

TimeFactors read_factors(const JsonNode& node) {
  node.refuse_unknown_keys({"gemm", "attention", "memory_bound"});
  return {node.at("gemm").positive_number(), node.at("attention").positive_number(),
          node.at("memory_bound").positive_number()};
}

Waiting read_waiting(const JsonNode& node) {
  node.refuse_unknown_keys({"layer", "step"});
  const auto share = [](const JsonNode& value) {
    const double out = value.number();
    if (out < 0 || out > 2) value.refuse("a share, from 0 to 2");
    return out;
  };
  return {share(node.at("layer")), share(node.at("step"))};
}

std::vector<TableRecord> read_tables(const JsonNode& node) {
  std::vector<TableRecord> out;
  for (const JsonNode& table : node.elements()) {
    table.refuse_unknown_keys({"name", "sha256", "rows"});
    out.push_back(
        {table.at("name").string(), table.at("sha256").string(), table.at("rows").count()});
  }
  return out;
}

}  // namespace

std::string profile_device(const JsonNode& node) { return node.at("device").string(); }

DeviceProfile read_profile(const JsonNode& node, const Device& device) {
  node.require_schema("profile");
  node.refuse_unknown_keys({"schema", "device", "provenance", "date", "tables", "gemm", "attention",
                            "decode", "memory_bound", "alone", "waiting", "sustained_clock"});
  DeviceProfile out;
  out.device = device;
  out.name = profile_device(node);
  out.fitted = out.name == device.id;
  out.provenance = node.at("provenance").string();
  out.sha256 = sha256(node.raw().dump());
  out.date = node.at("date").string();
  out.tables = read_tables(node.at("tables"));
  out.gemm = read_gemm(node.at("gemm"));
  out.attention = read_attention(node.at("attention"));
  out.decode = read_decode(node.at("decode"));
  out.memory_bound = read_memory_bound(node.at("memory_bound"));
  if (const auto alone = node.find_value("alone")) out.alone = read_factors(*alone);
  if (const auto waiting = node.find_value("waiting")) out.waiting = read_waiting(*waiting);
  const JsonNode clock = node.at("sustained_clock");
  clock.refuse_unknown_keys({"factor", "cause"});
  out.sustained_clock_factor = read_share(clock.at("factor"));
  out.sustained_clock_cause = clock.at("cause").string();
  return out;
}

nlohmann::ordered_json profile_json(const DeviceProfile& profile) {
  Json tables = Json::array();
  for (const TableRecord& table : profile.tables) {
    tables.push_back({{"name", table.name}, {"sha256", table.sha256}, {"rows", table.rows}});
  }
  Json out = {
      {"schema", "meshplan.profile/1"},
      {"device", profile.device.id},
      {"provenance", profile.provenance},
      {"date", profile.date},
      {"tables", std::move(tables)},
      {"gemm", gemm_json(profile.gemm)},
      {"attention", attention_json(profile.attention)},
      {"decode", decode_json(profile.decode)},
      {"memory_bound", memory_bound_json(profile.memory_bound)},
      {"sustained_clock",
       {{"factor", profile.sustained_clock_factor}, {"cause", profile.sustained_clock_cause}}}};
  if (profile.alone != TimeFactors{}) out["alone"] = factors_json(profile.alone);
  if (profile.waiting != Waiting{}) {
    out["waiting"] = {{"layer", profile.waiting.layer}, {"step", profile.waiting.step}};
  }
  return out;
}

}  // namespace meshplan::profiles
