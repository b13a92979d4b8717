#include "kernels/cpu/queue.h"

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

InstructionSet best_instruction_set() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return InstructionSet::Avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi2"))
    return InstructionSet::Avx2;
#endif
  return InstructionSet::Baseline;
}

std::string_view name(InstructionSet set) {
  switch (set) {
    case InstructionSet::Avx512:
      return "avx512";
    case InstructionSet::Avx2:
      return "avx2";
    case InstructionSet::Baseline:
      break;
  }
  return "baseline";
}

Queue::Queue(InstructionSet instruction_set) : state_(std::make_unique<State>()) {
  state_->instruction_set = instruction_set;
}
Queue::~Queue() = default;
Queue::Queue(Queue&&) noexcept = default;
Queue& Queue::operator=(Queue&&) noexcept = default;

ConstTensorView as_floats(const ConstTensorView& view, Scratch& scratch, Queue& queue) {
  if (view.type == ElementType::F32) return view;
  const TensorView floats = matrix_view(scratch.floats(view.elements()), view.rows, view.cols);
  run(Copy{.x = view, .y = floats}, queue);
  return floats;
}

void run(const Operation& operation, Queue& queue) {
  std::visit([&](const auto& op) { run(op, queue); }, operation);
}

}  // namespace meshplan::kernels::cpu
