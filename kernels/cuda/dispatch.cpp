#include "kernels/cuda/kernels.h"

namespace meshplan::kernels::cuda {

void launch(Queue& queue, const Operation& operation) {
  std::visit([&](const auto& op) { run(op, queue); }, operation);
}

std::string_view name(AttentionKernel kernel) {
  switch (kernel) {
    case AttentionKernel::Unfused:
      return "unfused";
    case AttentionKernel::Decode:
      return "decode";
    case AttentionKernel::Fused:
      return "fused";
  }
  return "";
}

}  // namespace meshplan::kernels::cuda
