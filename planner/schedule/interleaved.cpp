#include "planner/schedule/interleaved.h"

#include <fmt/format.h>

#include <algorithm>

#include "planner/schedule/one_forward_one_backward.h"

namespace meshplan::planner {
namespace {

/// Walks (group, chunk, micro-batch) in the order in which a stage runs them in one direction.
class Cursor {
 public:
  Cursor(const PipelineShape& shape, int stage, bool backward)
      : shape_(shape), stage_(stage), backward_(backward) {}

  Instruction next(Action action) {
    const int v = shape_.chunks_per_stage;
    const int local = backward_ ? v - 1 - local_ : local_;
    const Instruction here =
        compute(action, local * shape_.stages + stage_, group_ * shape_.group() + inside_);
    if (++inside_ == interleaved_group_size(shape_, group_)) {
      inside_ = 0;
      if (++local_ == v) {
        local_ = 0;
        ++group_;
      }
    }
    return here;
  }

 private:
  PipelineShape shape_;
  int stage_;
  bool backward_;
  int group_ = 0, local_ = 0, inside_ = 0;
};

}  // namespace

int interleaved_groups(const PipelineShape& shape) {
  return (shape.microbatches + shape.group() - 1) / shape.group();
}

int interleaved_group_size(const PipelineShape& shape, int group) {
  return std::min(shape.group(), shape.microbatches - group * shape.group());
}

int interleaved_warm_up(const PipelineShape& shape, int stage) {
  const int ahead = 2 * (shape.stages - 1 - stage) + (shape.chunks_per_stage - 1) * shape.group();
  return std::min(shape.microbatches * shape.chunks_per_stage, ahead);
}

ComputeOrder interleaved(const PipelineShape& shape, int stage) {
  if (shape.chunks_per_stage == 1) return one_forward_one_backward(shape, stage);
  const int total = shape.microbatches * shape.chunks_per_stage;
  const int warm_up = interleaved_warm_up(shape, stage);
  ComputeOrder order;
  order.reserve(2 * static_cast<std::size_t>(total));
  Cursor forward(shape, stage, false);
  Cursor backward(shape, stage, true);
  for (int k = 0; k < warm_up; ++k) order.push_back(forward.next(Action::Forward));
  for (int k = warm_up; k < total; ++k) {
    order.push_back(forward.next(Action::Forward));
    order.push_back(backward.next(Action::Backward));
  }
  for (int k = 0; k < warm_up; ++k) order.push_back(backward.next(Action::Backward));
  return order;
}

std::optional<std::string> interleaving_violation(const PipelineShape& shape) {
  if (shape.chunks_per_stage == 1) return std::nullopt;
  const int n = shape.group();
  if (n < shape.stages) {
    return fmt::format("interleaving needs a micro-batch group of at least {} stages, found {}",
                       shape.stages, n);
  }
  const int remainder = shape.microbatches % n;
  if (remainder == 0 || remainder >= shape.stages) return std::nullopt;
  return fmt::format(
      "interleaving needs micro-batches that are a multiple of {}{}, found {} (remainder {})", n,
      n > shape.stages ? fmt::format(" or leave at least {}", shape.stages) : "",
      shape.microbatches, remainder);
}

}  // namespace meshplan::planner
