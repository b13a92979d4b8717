#include <array>

#include "planner/schedule/schedule.h"

namespace meshplan::planner {

std::string_view name(Action action) {
  static constexpr std::array<std::string_view, 13> kNames = {
      "forward",         "backward",        "input_grad",    "weight_grad",      "recompute",
      "send_forward",    "receive_forward", "send_backward", "receive_backward", "parameter_gather",
      "gradient_reduce", "optimizer_sync",  "optimizer_step"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace meshplan::planner
