#pragma once
#include <map>
#include <string>
#include <vector>

#include "planner/evaluate/split.h"
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
  ErrorSummary time;  ///< over all rows
  /// Sorted by name; behind them each kernel over all devices, where there are several.
  std::vector<TableGroup> groups;
  std::vector<EvaluatedRow> worst;  ///< by |ln(predicted / measured)|, at most ten
  std::map<std::string, int> unpredictable;
};

/// Which rows are priced, and on whose constants.
struct TablesQuestion {
  Half half = Half::Both;
  /// GEMMs and attention as on a device that nobody measured: on the constants of its nearest kin,
  /// not on its own (profiles/borrowed_profile.h).
  bool unseen = false;
};

/// Prices the rows of tables of collectives, GEMMs and attention (DESIGN.md section 6) and
/// compares. What a table holds is seen from its columns: "op" collectives, "phase" attention, else
/// GEMMs; the device of the latter two from the file's name, gemm_<device>.csv. `clusters` are
/// found before presets. GEMMs and attention are priced at locked clocks, as such tables are taken.
/// Halves: planner/fit/split.h of kernels, split.h of collectives.
TablesReport evaluate_tables(const std::vector<std::string>& paths, const TablesQuestion& question,
                             const profiles::ClusterTable& clusters,
                             const profiles::DataFiles& files);

}  // namespace meshplan::planner
