#include "kernels/attention.h"

#include "kernels/cuda/attention_decode.h"
#include "kernels/cuda/attention_unfused.h"
#include "kernels/cuda/fused_attention.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/queue_state.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

struct Choice {
  AttentionKernel kernel = AttentionKernel::Unfused;
  std::string why_not_fused;
};

/// A kernel that the options ask for is taken where it can do the operation.
Choice choose(const AttentionForward& op, Queue& queue) {
  const auto wanted = queue.state().options.attention;
  Choice choice;
  const bool decode = decodes(op) && (!wanted || *wanted == AttentionKernel::Decode);
  if (decode)
    choice.why_not_fused = "few queries: decoded by our kernel";
  else if (wanted && *wanted != AttentionKernel::Fused)
    choice.why_not_fused = "the queue asks for " + std::string(name(*wanted));
  else
    choice.why_not_fused = queue.state().fused_attention->why_not(op);
  choice.kernel = decode                         ? AttentionKernel::Decode
                  : choice.why_not_fused.empty() ? AttentionKernel::Fused
                                                 : AttentionKernel::Unfused;
  return choice;
}

Choice choose(const AttentionBackward& op, Queue& queue) {
  const auto wanted = queue.state().options.attention;
  Choice choice;
  choice.why_not_fused = wanted && *wanted != AttentionKernel::Fused
                             ? "the queue asks for " + std::string(name(*wanted))
                             : queue.state().fused_attention->why_not(op);
  if (choice.why_not_fused.empty()) choice.kernel = AttentionKernel::Fused;
  return choice;
}

void remember(const Choice& choice, std::optional<AttentionKernel>& kernel, Queue& queue) {
  kernel = choice.kernel;
  if (choice.kernel != AttentionKernel::Fused) queue.state().why_not_fused = choice.why_not_fused;
}

}  // namespace

void run(const AttentionForward& op, Queue& queue) {
  check_shapes(op);
  if (op.shape.query_len == 0) return;
  const Choice choice = choose(op, queue);
  remember(choice, queue.state().forward, queue);
  switch (choice.kernel) {
    case AttentionKernel::Fused:
      return queue.state().fused_attention->run(op);
    case AttentionKernel::Decode:
      return decode_attention(op, queue);
    case AttentionKernel::Unfused:
      return unfused_attention(op, queue);
  }
}

void run(const AttentionBackward& op, Queue& queue) {
  check_shapes(op);
  if (op.shape.query_len == 0) return unfused_attention(op, queue);
  const Choice choice = choose(op, queue);
  remember(choice, queue.state().backward, queue);
  if (choice.kernel == AttentionKernel::Fused) return queue.state().fused_attention->run(op);
  unfused_attention(op, queue);
}

std::string attention_in_words(const Queue& queue) {
  const Queue::State& state = queue.state();
  std::string out;
  if (state.forward) out += "attention forward " + std::string(name(*state.forward));
  if (state.backward)
    out += (out.empty() ? "attention" : ",") + std::string(" backward ") +
           std::string(name(*state.backward));
  if (!out.empty() && !state.why_not_fused.empty()) out += " (" + state.why_not_fused + ")";
  return out;
}

AttentionChoice attention_choice(Queue& queue, const AttentionShape& shape, ElementType type,
                                 bool dropout) {
  AttentionDropout drawn;
  if (dropout) drawn.probability = 0.5F;
  // Contiguous tensors at an address that is never read.
  const auto tensor = [&](std::int64_t rows, std::int64_t heads) {
    const std::int64_t cols = heads * shape.head_dim;
    return TensorView{reinterpret_cast<void*>(std::uintptr_t{256}), rows, cols, cols, type};
  };
  const TensorView of_queries = tensor(shape.batch * shape.query_len, shape.heads);
  const TensorView of_keys = tensor(shape.batch * shape.kv_len, shape.kv_heads);
  AttentionForward forward;
  forward.shape = shape;
  forward.q = of_queries;
  forward.k = forward.v = of_keys;
  forward.out = of_queries;
  forward.dropout = drawn;
  AttentionBackward backward;
  backward.shape = shape;
  backward.q = backward.out = backward.dout = of_queries;
  backward.k = backward.v = of_keys;
  backward.dq = of_queries;
  backward.dk = backward.dv = of_keys;
  backward.dropout = drawn;
  const Choice first = choose(forward, queue), second = choose(backward, queue);
  return {first.kernel, second.kernel, first.why_not_fused, second.why_not_fused};
}

}  // namespace meshplan::kernels::cuda
