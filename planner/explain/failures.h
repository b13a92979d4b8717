#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "planner/layout/legality.h"
#include "planner/memory/stage_memory.h"
#include "planner/problem.h"

namespace meshplan::planner {

/// One constraint that a layout fails, in figures.
struct Failure {
  std::string rule;        ///< key of search.rejected: "heads_by_tp", "out_of_memory"
  std::string what;        ///< the sentence
  std::int64_t found = 0;  ///< 12 of "tp 12"; bytes for memory
  std::string needed;      ///< "a divisor of 64"
  std::int64_t missing =
      0;             ///< by how much: what is left over, or too much; 0: no matter of degree
  std::string unit;  ///< of `missing`: "heads left over", "bytes too many"
};

constexpr const char* kOutOfMemory = "out_of_memory";

/// `violation` of `layout`, in figures.
Failure failure_of(const Violation& violation, const Layout& layout, const Problem& problem);

/// Every rule that `layout` breaks; where it breaks none, the memory that it lacks. Empty: it runs.
std::vector<Failure> failures(const Layout& layout, const Problem& problem,
                              const std::vector<StageMemory>& memory);

}  // namespace meshplan::planner
