#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/schedule/schedule.h"

namespace meshplan::planner {

/// One stage that cannot go on.
struct Wait {
  int stage = 0;
  int position = 0;  ///< index in the stage's list
  Instruction instruction;
  int on_stage = 0;  ///< whom it waits for; itself when the list is out of order
};

/// Stages that wait for each other: a cycle, or a chain that ends at a stage that has finished or
/// waits for itself.
struct Deadlock {
  std::vector<Wait> waits;
  std::string message;  ///< one line: who waits with what for whom
};

/// Steps every list with blocking semantics: a stage goes on only when its current instruction is
/// done; a send and its receive happen when both are posted; a group posts all of its transfers at
/// once and ends with the last; compute needs its values (dependencies.h); OptimizerSync needs all
/// stages. None: the schedule completes.
std::optional<Deadlock> find_deadlock(const Schedule& schedule);

/// "forward of chunk 3, micro-batch 1"
std::string described(const Instruction& instruction);

/// Follows `waits` (at most one a stage) from its first entry to a cycle or an end, and words it.
Deadlock deadlock_among(const std::vector<Wait>& waits);

}  // namespace meshplan::planner
