#include "planner/simulate/instruction_label.h"

#include <fmt/format.h>

namespace meshplan::planner {

std::string instruction_label(const Instruction& in) {
  const auto numbered = [&](const char* letters, int second) {
    return fmt::format("{}{},{}", letters, in.chunk, second);
  };
  switch (in.action) {
    case Action::Forward:
      return numbered("F", in.microbatch);
    case Action::Backward:
    case Action::InputGrad:
      return numbered("B", in.microbatch);
    case Action::WeightGrad:
      return numbered("W", in.microbatch);
    case Action::Recompute:
      return numbered("R", in.microbatch);
    case Action::SendForward:
      return numbered("send F", in.microbatch);
    case Action::ReceiveForward:
      return numbered("receive F", in.microbatch);
    case Action::SendBackward:
      return numbered("send B", in.microbatch);
    case Action::ReceiveBackward:
      return numbered("receive B", in.microbatch);
    case Action::ParameterGather:
      return numbered("P", in.peer);
    case Action::GradientReduce:
      return numbered("G", in.peer);
    case Action::OptimizerSync:
      return "S";
    case Action::OptimizerStep:
      break;
  }
  return "O";
}

}  // namespace meshplan::planner
