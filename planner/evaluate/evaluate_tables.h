#pragma once
#include <map>
#include <string>
#include <vector>

#include "planner/evaluate/statistics.h"
#include "profiles/cluster_json.h"
#include "profiles/data_files.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// One measured row beside its price.
struct EvaluatedRow {
  std::string where;  ///< "collectives.csv:12", or the shape
  profiles::Seconds measured{0}, predicted{0};
  [[nodiscard]] double error() const { return predicted / measured - 1; }
};

/// Rows of one table that belong together: a cluster and an operation, or a device and a kernel.
struct TableGroup {
  std::string name;
  ErrorSummary time;
};

struct TablesReport {
  ErrorSummary time;                ///< over all rows
  std::vector<TableGroup> groups;   ///< sorted by name
  std::vector<EvaluatedRow> worst;  ///< by |ln(predicted / measured)|, at most ten
  std::map<std::string, int> unpredictable;
};

/// Prices every row of tables of collectives, GEMMs and attention (DESIGN.md section 6) and
/// compares. What a table holds is seen from its columns: "op" collectives, "phase" attention, else
/// GEMMs; the device of the latter two from the file's name, gemm_<device>.csv. `clusters` are
/// found before presets. GEMMs and attention are priced at locked clocks, as such tables are taken.
TablesReport evaluate_tables(const std::vector<std::string>& paths,
                             const profiles::ClusterTable& clusters,
                             const profiles::DataFiles& files);

}  // namespace meshplan::planner
