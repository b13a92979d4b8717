#pragma once
#include <gtest/gtest.h>

#include <string>

#include "kernels/cpu/kernels.h"
#include "kernels/reference/kernels.h"
#include "tests/kernels/arena.h"

namespace meshplan::kernels::testing {

/// Instruction sets that this machine can test.
inline std::vector<cpu::InstructionSet> instruction_sets() {
  std::vector<cpu::InstructionSet> sets;
  for (const auto set :
       {cpu::InstructionSet::Baseline, cpu::InstructionSet::Avx2, cpu::InstructionSet::Avx512})
    if (set <= cpu::best_instruction_set()) sets.push_back(set);
  return sets;
}

/// `build(arena)` lays out an operation's arguments; the reference and `run_cpu(op, queue)` run it
/// on equal memory.
template <class Build, class Run>
void expect_like_reference(const std::string& what, Build build, Run run_cpu) {
  Arena expected(17);
  const auto oracle_op = build(expected);
  reference::Queue oracle;
  reference::run(oracle_op, oracle);
  for (const cpu::InstructionSet set : instruction_sets()) {
    Arena found(17);
    const auto op = build(found);
    cpu::Queue queue(set);
    run_cpu(op, queue);
    EXPECT_EQ(found.difference(expected), "")
        << what << ", " << name(Operation(op)) << ", " << cpu::name(set);
  }
}
template <class Build>
void expect_like_reference(const std::string& what, Build build) {
  expect_like_reference(what, build,
                        [](const auto& op, cpu::Queue& queue) { cpu::run(op, queue); });
}

}  // namespace meshplan::kernels::testing
