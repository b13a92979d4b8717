#include "kernels/operation.h"

#include "kernels/reference/kernels.h"

namespace meshplan::kernels::reference {

void run(const Operation& operation, Queue& queue) {
  std::visit([&](const auto& op) { run(op, queue); }, operation);
}

}  // namespace meshplan::kernels::reference
