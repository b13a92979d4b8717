#include "cli/collective_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/error_text.h"
#include "cli/table.h"
#include "planner/cluster/group_shape.h"
#include "planner/cluster/rank_group.h"
#include "planner/cost/collective/collective_model.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using profiles::Bytes;
using profiles::human;
using profiles::Seconds;

std::string text(const std::optional<Seconds>& time) { return time ? human(*time) : "-"; }

/// value / measured - 1; "-" where there is none.
std::string error(const std::optional<Seconds>& value, Seconds measured) {
  if (!value || !(measured.count() > 0)) return "-";
  return signed_percent(*value / measured - 1);
}

nlohmann::ordered_json seconds(const std::optional<Seconds>& time) {
  return time ? nlohmann::ordered_json(time->count()) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::vector<CollectiveLine> collective_lines(const std::vector<runtime::CollectiveTime>& times,
                                             int steps, const planner::Layout& layout,
                                             const profiles::Cluster& cluster) {
  std::vector<CollectiveLine> out;
  for (const runtime::CollectiveTime& t : times) {
    const planner::GroupShape shape =
        group_shape(axis_group(layout, t.axis), layout.devices(), cluster);
    const planner::Collective operation = *planner::collective_from(name(t.call));
    out.push_back({name(t.call),
                   {t.bytes},
                   t.ranks,
                   std::max(1, t.count / std::max(1, steps)),
                   collective_time(operation, {t.bytes}, shape, cluster).time,
                   t.estimated,
                   t.median});
  }
  return out;
}

std::vector<CollectiveLine> collective_lines(const std::vector<runtime::GpuCollectiveTime>& times,
                                             const std::optional<profiles::Cluster>& cluster) {
  std::vector<CollectiveLine> out;
  for (const runtime::GpuCollectiveTime& t : times) {
    CollectiveLine line{t.operation, t.size, t.ranks, 0, {}, t.estimated, t.time};
    const auto operation = planner::collective_from(t.operation);
    if (cluster && operation && t.ranks <= cluster->devices_per_node) {
      line.predicted =
          collective_time(*operation, t.size, planner::lone_group(t.ranks, 1, *cluster), *cluster)
              .time;
    }
    out.push_back(line);
  }
  return out;
}

std::string collective_table(const std::vector<CollectiveLine>& lines) {
  if (lines.empty()) return "";
  const bool of_steps =
      std::any_of(lines.begin(), lines.end(), [](const auto& line) { return line.calls > 0; });
  std::vector<Table::Column> columns = {{"collective", Table::Align::Left}, {"bytes"}, {"ranks"}};
  if (of_steps) columns.push_back({"calls a step"});
  for (const char* title : {"predicted", "NCCL's own", "measured", "error", "NCCL's error"}) {
    columns.push_back({title});
  }
  Table table(columns);
  for (const CollectiveLine& line : lines) {
    std::vector<std::string> cells = {line.operation, human(line.bytes),
                                      std::to_string(line.ranks)};
    if (of_steps) cells.push_back(std::to_string(line.calls));
    cells.insert(cells.end(),
                 {text(line.predicted), text(line.estimated), human(line.measured),
                  error(line.predicted, line.measured), error(line.estimated, line.measured)});
    table.add(cells);
  }
  return table.text();
}

nlohmann::ordered_json collective_json(const std::vector<CollectiveLine>& lines) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const CollectiveLine& line : lines) {
    nlohmann::ordered_json entry = {
        {"op", line.operation}, {"bytes", line.bytes.count}, {"ranks", line.ranks}};
    if (line.calls > 0) entry["calls_per_step"] = line.calls;
    entry["predicted_seconds"] = seconds(line.predicted);
    entry["nccl_seconds"] = seconds(line.estimated);
    entry["measured_seconds"] = line.measured.count();
    out.push_back(entry);
  }
  return out;
}

}  // namespace meshplan::cli
