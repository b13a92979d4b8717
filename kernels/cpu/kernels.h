#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "kernels/operation.h"

namespace meshplan::kernels::cpu {

/// Vector instructions that the loops are compiled for; chosen at run time.
enum class InstructionSet : std::uint8_t { Baseline, Avx2, Avx512 };

/// The widest set that this processor and this build have.
InstructionSet best_instruction_set();

std::string_view name(InstructionSet set);

/// Scratch memory and prepared GEMMs of one thread of the host.
///
/// `run` returns when the operation is done and uses the calling thread alone: a rank is a thread,
/// and parallelism is that of ranks. One queue belongs to one thread at a time. Results are the
/// same bits on every run with one instruction set.
class Queue {
 public:
  /// Fewer instructions than the machine has are for tests and comparisons.
  explicit Queue(InstructionSet instruction_set = best_instruction_set());
  ~Queue();
  Queue(Queue&&) noexcept;
  Queue& operator=(Queue&&) noexcept;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// The library behind Gemm: "oneDNN 2.6.3", "OpenBLAS" or "own".
std::string_view gemm_library();

void run(const Gemm& op, Queue& queue);
void run(const BiasForward& op, Queue& queue);
void run(const BiasBackward& op, Queue& queue);
void run(const LayerNormForward& op, Queue& queue);
void run(const LayerNormBackward& op, Queue& queue);
void run(const RmsNormForward& op, Queue& queue);
void run(const RmsNormBackward& op, Queue& queue);
void run(const ActivationForward& op, Queue& queue);
void run(const ActivationBackward& op, Queue& queue);
void run(const GatedActivationForward& op, Queue& queue);
void run(const GatedActivationBackward& op, Queue& queue);
void run(const RotaryTable& op, Queue& queue);
void run(const Rotary& op, Queue& queue);
void run(const AttentionForward& op, Queue& queue);
void run(const AttentionBackward& op, Queue& queue);
void run(const AttentionMerge& op, Queue& queue);
void run(const CrossEntropyMax& op, Queue& queue);
void run(const CrossEntropySum& op, Queue& queue);
void run(const CrossEntropyLoss& op, Queue& queue);
void run(const NormalFill& op, Queue& queue);
void run(const Dropout& op, Queue& queue);
void run(const EmbeddingForward& op, Queue& queue);
void run(const EmbeddingBackward& op, Queue& queue);
void run(const ResidualAdd& op, Queue& queue);
void run(const Copy& op, Queue& queue);
void run(const Fill& op, Queue& queue);
void run(const AdamW& op, Queue& queue);
void run(const SumOfSquares& op, Queue& queue);

void run(const Operation& operation, Queue& queue);

}  // namespace meshplan::kernels::cpu
