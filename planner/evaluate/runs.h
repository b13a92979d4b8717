#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/cluster_load.h"
#include "profiles/data_files.h"
#include "profiles/engine.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

using profiles::MemoryKind;

/// The habits of another version of a run's software, where the source does not say which ran.
struct OtherVersion {
  profiles::Framework framework;
  double probability = 0;  ///< that it ran, not Problem::framework
};

/// One recorded run of somebody else (DESIGN.md section 6), read and resolved, not yet predicted.
struct RecordedRun {
  std::string id, source;
  std::string model_name, cluster_name;
  std::string layout_text;
  Problem problem;
  bool framework_known = true;
  std::optional<OtherVersion> other_version;
  profiles::Engine engine;  ///< of an inference run: whose habits it shows
  std::string engine_version;
  bool engine_known = true;
  std::optional<Layout> layout;        ///< none: the text is no layout, see `refusal`
  std::optional<std::string> refusal;  ///< why this run cannot be predicted at all
  bool starts = true;                  ///< false: its software cannot start this layout
  bool failed = false;                 ///< measured outcome: out of memory or crashed
  std::optional<profiles::Seconds> step;
  std::optional<profiles::Bytes> peak_memory;
  MemoryKind memory_kind = MemoryKind::Device;  ///< unstated: what the framework reports
  bool recompute_unknown = false;               ///< the source does not state recomputation
  /// What the source does not state, or states in a way of its own, and was taken for granted.
  std::vector<std::string> assumed;
  std::optional<double> ttft_seconds, tpot_seconds, tokens_per_second;

  /// Runs of one model, cluster and workload are one group.
  [[nodiscard]] std::string group() const;
};

/// Reads a file of schema meshplan.runs/1. A file that is not one is refused; a run whose model,
/// cluster or layout cannot be read carries its refusal instead, so that none is dropped silently.
std::vector<RecordedRun> read_runs(const profiles::JsonNode& document,
                                   const profiles::DataFiles& files);

}  // namespace meshplan::planner
