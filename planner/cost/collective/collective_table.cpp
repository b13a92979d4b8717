#include "planner/cost/collective/collective_table.h"

#include <cstdint>
#include <optional>
#include <string_view>

#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective_model.h"
#include "profiles/csv.h"
#include "profiles/nearest_name.h"

namespace meshplan::planner {

namespace {

/// Where rows come from, and how they were timed: as their column `timed` states, else as their
/// source's habit is.
class OriginColumns {
 public:
  explicit OriginColumns(const profiles::CsvTable& table) : table_(table) {
    if (table.has("timed")) timed_ = table.column("timed");
    if (table.has("source")) source_ = table.column("source");
  }

  [[nodiscard]] std::string_view source(std::size_t row) const {
    return source_ ? table_.text(row, *source_) : std::string_view{};
  }

  [[nodiscard]] CallTiming timing(std::size_t row) const {
    const std::string_view stated = timed_ ? table_.text(row, *timed_) : std::string_view{};
    if (stated.empty()) return call_timing_of_source(source(row));
    const auto timing = call_timing_from(stated);
    if (!timing) table_.refuse(row, *timed_, "graph, launched, kernel or program");
    return *timing;
  }

 private:
  const profiles::CsvTable& table_;
  std::optional<profiles::CsvTable::Column> timed_, source_;
};

}  // namespace

std::vector<MeasuredCollective> read_collective_table(const std::string& path) {
  using profiles::CsvTable;
  const CsvTable table =
      CsvTable::read_file(path, {"op", "bytes", "ranks", "nodes", "cluster", "seconds"});
  const CsvTable::Column op = table.column("op");
  const CsvTable::Column bytes = table.column("bytes");
  const CsvTable::Column ranks = table.column("ranks");
  const CsvTable::Column nodes = table.column("nodes");
  const CsvTable::Column cluster = table.column("cluster");
  const CsvTable::Column seconds = table.column("seconds");
  const OriginColumns origin(table);
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 46;
  constexpr std::int64_t kMostRanks = 10'000'000;

  std::vector<MeasuredCollective> out;
  out.reserve(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    MeasuredCollective one;
    const auto operation = collective_from(table.text(row, op));
    if (!operation) {
      std::vector<std::string> known;
      for (int i = 0; i < kCollectives; ++i) known.emplace_back(name(static_cast<Collective>(i)));
      table.refuse(row, op, "a collective" + profiles::did_you_mean(table.text(row, op), known));
    }
    one.operation = *operation;
    one.bytes = {table.integer(row, bytes, 0, kMostBytes)};
    one.ranks = static_cast<int>(table.integer(row, ranks, 1, kMostRanks));
    one.nodes = static_cast<int>(table.integer(row, nodes, 1, one.ranks));
    one.cluster = table.text(row, cluster);
    one.time = profiles::Seconds{table.positive_number(row, seconds)};
    one.timing = origin.timing(row);
    one.source = origin.source(row);
    one.where = table.where(row);
    out.push_back(std::move(one));
  }
  return out;
}

profiles::Seconds reported_time(const MeasuredCollective& row, const profiles::Cluster& cluster) {
  const profiles::Cluster host = host_of_source(cluster, row.source);
  const CollectiveModel model(lone_group(row.ranks, row.nodes, host), host,
                              shipped_collective_profile(),
                              source_has_ll128(cluster.name, row.source));
  // Of a send the kernel that is timed is the sender's.
  const bool hands_over =
      row.timing == CallTiming::Kernel && row.operation == Collective::SendReceive;
  const profiles::Seconds call =
      hands_over ? model.hand_over_time(row.bytes) : model.time(row.operation, row.bytes);
  return as_timed(call, row.timing, row.ranks, row.nodes, profiles::old_host(host));
}

}  // namespace meshplan::planner
