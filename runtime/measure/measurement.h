#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/simulate/costs.h"
#include "planner/simulate/timeline.h"
#include "runtime/device/memory_counter.h"
#include "runtime/execute/observed.h"
#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// Parallel: all ranks at once, so there should be a core for each. Replay: computation is measured
/// on ranks that do not wait for each other, the timeline is put together by planner/simulate, and
/// communication is modelled. Partitioned: all ranks at once on parts of one device, whose memory
/// they share; communication is copies within it.
enum class Mode : std::uint8_t { Parallel, Replay, Partitioned };
std::string_view name(Mode mode);  ///< "parallel", "replay", "partitioned"

/// What the instructions of one kind on one chunk took, computation alone: over micro-batches,
/// steps and the ranks that share the chunk.
struct InstructionTime {
  planner::Action action = planner::Action::Forward;
  int chunk = 0;  ///< of the optimizer: the stage
  int count = 0;
  profiles::Seconds median{0}, least{0}, most{0};
  friend bool operator==(const InstructionTime&, const InstructionTime&) = default;
};

/// What a replay ran; ranks and micro-batches that it did not are like these.
struct Executed {
  std::vector<int> ranks;  ///< in the order of execution
  int microbatches = 1;    ///< of each
  int of_microbatches = 1;
  friend bool operator==(const Executed&, const Executed&) = default;
};

struct RankMemory {
  MemoryUse at_peak;     ///< when the total was greatest
  MemoryUse term_peaks;  ///< each term's own greatest
  friend bool operator==(const RankMemory&, const RankMemory&) = default;
};

/// A run, as it is held against its prediction.
struct Measurement {
  std::string model, layout, device;
  std::string remark;  ///< how rank 0 computed what there are several ways for
  Mode mode = Mode::Parallel;
  int ranks = 1;
  int warm_up = 0;                       ///< steps before those that count
  std::vector<profiles::Seconds> steps;  ///< those that count; replay: the one assembled
  profiles::Seconds step{0};             ///< their median
  planner::Terms terms;                  ///< of the step that took the median
  int terms_rank = 0;                    ///< the rank they belong to
  std::vector<InstructionTime> instructions;
  std::vector<CollectiveTime> collectives;  ///< of rank 0, on asynchronous devices
  std::vector<RankMemory> memory;           ///< by rank
  std::vector<double> losses;               ///< of every step that all ranks ran
  std::optional<Executed> executed;         ///< none: everything

  [[nodiscard]] profiles::Seconds least() const;
  [[nodiscard]] profiles::Seconds most() const;
};

/// Median of an odd number of values; of an even number, the lower of the middle two, so that it is
/// one that was measured. `values` is not empty.
profiles::Seconds median(std::vector<profiles::Seconds> values);
double median(std::vector<double> values);

}  // namespace meshplan::runtime
