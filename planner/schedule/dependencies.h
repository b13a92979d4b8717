#pragma once
#include <array>

#include "planner/schedule/schedule.h"

namespace meshplan::planner {

/// Something that must have happened before an instruction may run.
struct Need {
  int stage = 0;  ///< where it happens
  /// InputGrad stands for "the gradient of the chunk's input": an InputGrad or a whole Backward.
  Action action = Action::Forward;
  int chunk = 0;
  int microbatch = 0;
  friend bool operator==(const Need&, const Need&) = default;
};

/// At most two of them, and what the whole rank or pipeline must have done.
struct Needs {
  std::array<Need, 2> items{};
  int count = 0;
  bool every_gather = false;  ///< ParameterGather of this chunk on this rank (all of its chunks
                              ///< where gathers do not overlap)
  bool every_weight_grad = false;  ///< WeightGrad or Backward of this chunk, all micro-batches
  bool every_reduce = false;       ///< all compute and every GradientReduce of this rank
  bool every_stage = false;        ///< all stages have reached their OptimizerSync

  void add(Need need) { items[static_cast<std::size_t>(count++)] = need; }
  [[nodiscard]] const Need* begin() const { return items.data(); }
  [[nodiscard]] const Need* end() const { return items.data() + count; }
};

/// Chunk numbers of transfers are always those of the rank that holds the instruction: a
/// SendForward of chunk c meets the ReceiveForward of chunk c + 1, a SendBackward of chunk c the
/// ReceiveBackward of chunk c - 1. Between chunks of one stage nothing is sent.
///
///                     chunk c - 1 elsewhere              chunk c + 1 elsewhere
///   Forward c         ReceiveForward c                   -> SendForward c
///   gradient of c     -> SendBackward c                  ReceiveBackward c
inline Needs needs(const Schedule& schedule, int stage, const Instruction& i) {
  const auto owner = [&](int chunk) {
    return schedule.chunks[static_cast<std::size_t>(chunk)].stage;
  };
  const int last = schedule.chunk_count() - 1;
  Needs out;
  switch (i.action) {
    case Action::Forward:
      out.every_gather = schedule.chunks[static_cast<std::size_t>(i.chunk)].gather_buckets > 0;
      if (i.chunk > 0) {
        if (owner(i.chunk - 1) == stage) {
          out.add({stage, Action::Forward, i.chunk - 1, i.microbatch});
        } else {
          out.add({stage, Action::ReceiveForward, i.chunk, i.microbatch});
        }
      }
      break;
    case Action::Recompute:  // begins with the backward that it is part of
    case Action::Backward:
    case Action::InputGrad:
      out.add({stage, Action::Forward, i.chunk, i.microbatch});
      if (i.chunk < last) {
        if (owner(i.chunk + 1) == stage) {
          out.add({stage, Action::InputGrad, i.chunk + 1, i.microbatch});
        } else {
          out.add({stage, Action::ReceiveBackward, i.chunk, i.microbatch});
        }
      }
      break;
    case Action::WeightGrad:
    case Action::SendBackward:
      out.add({stage, Action::InputGrad, i.chunk, i.microbatch});
      break;
    case Action::SendForward:
      out.add({stage, Action::Forward, i.chunk, i.microbatch});
      break;
    case Action::ReceiveForward:
      out.add({i.peer, Action::SendForward, i.chunk - 1, i.microbatch});
      break;
    case Action::ReceiveBackward:
      out.add({i.peer, Action::SendBackward, i.chunk + 1, i.microbatch});
      break;
    case Action::ParameterGather:
      break;  // the OptimizerStep of the step before
    case Action::GradientReduce:
      out.every_weight_grad = true;
      break;
    case Action::OptimizerSync:
      out.every_reduce = out.every_stage = true;
      break;
    case Action::OptimizerStep:
      out.every_reduce = true;
      break;
  }
  return out;
}

constexpr bool is_compute(Action a) { return a <= Action::Recompute; }
constexpr bool is_send(Action a) { return a == Action::SendForward || a == Action::SendBackward; }
constexpr bool is_receive(Action a) {
  return a == Action::ReceiveForward || a == Action::ReceiveBackward;
}
constexpr bool is_transfer(Action a) { return is_send(a) || is_receive(a); }
/// Backward and InputGrad: what makes the gradient of a chunk's input.
constexpr bool gives_input_grad(Action a) {
  return a == Action::Backward || a == Action::InputGrad;
}
/// What starts with the gradient of a chunk's output.
constexpr bool takes_output_grad(Action a) { return gives_input_grad(a) || a == Action::Recompute; }
/// Backward and WeightGrad: what adds to the gradients of a chunk's parameters.
constexpr bool gives_weight_grad(Action a) {
  return a == Action::Backward || a == Action::WeightGrad;
}

}  // namespace meshplan::planner
