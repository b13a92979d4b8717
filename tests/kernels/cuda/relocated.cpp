#include "tests/kernels/cuda/relocated.h"

#include <type_traits>

namespace meshplan::kernels::testing {
namespace {

// Every argument of every operation that points to memory. An operation without a line here does
// not compile in Relocated::moved.
void each(Gemm& op, auto move) { move(op.a, op.b, op.c, op.bias); }
void each(BiasForward& op, auto move) { move(op.x, op.bias, op.y); }
void each(BiasBackward& op, auto move) { move(op.dy, op.dbias); }
void each(LayerNormForward& op, auto move) {
  move(op.x, op.gamma, op.beta, op.y, op.mean, op.rstd);
}
void each(LayerNormBackward& op, auto move) {
  move(op.x, op.gamma, op.dy, op.mean, op.rstd, op.dx, op.dgamma, op.dbeta);
}
void each(RmsNormForward& op, auto move) { move(op.x, op.gamma, op.y, op.rstd); }
void each(RmsNormBackward& op, auto move) {
  move(op.x, op.gamma, op.dy, op.rstd, op.dx, op.dgamma);
}
void each(ActivationForward& op, auto move) { move(op.x, op.y); }
void each(ActivationBackward& op, auto move) { move(op.x, op.dy, op.dx); }
void each(GatedActivationForward& op, auto move) { move(op.gate, op.up, op.y); }
void each(GatedActivationBackward& op, auto move) { move(op.gate, op.up, op.dy, op.dgate, op.dup); }
void each(RotaryTable& op, auto move) { move(op.cosine, op.sine); }
void each(Rotary& op, auto move) { move(op.x, op.y, op.cosine, op.sine); }
void each(AttentionForward& op, auto move) { move(op.q, op.k, op.v, op.out, op.log_sum_exp); }
void each(AttentionBackward& op, auto move) {
  move(op.q, op.k, op.v, op.out, op.dout, op.log_sum_exp, op.dq, op.dk, op.dv);
}
void each(AttentionMerge& op, auto move) {
  move(op.other, op.other_log_sum_exp, op.out, op.log_sum_exp);
}
void each(CrossEntropyMax& op, auto move) { move(op.logits, op.row_max); }
void each(CrossEntropySum& op, auto move) {
  move(op.logits, op.targets, op.row_max, op.sum_exp, op.target_logit);
}
void each(CrossEntropyLoss& op, auto move) {
  move(op.logits, op.targets, op.row_max, op.sum_exp, op.target_logit, op.loss, op.dlogits);
}
void each(NormalFill& op, auto move) { move(op.y); }
void each(Dropout& op, auto move) { move(op.x, op.y); }
void each(EmbeddingForward& op, auto move) { move(op.ids, op.table, op.y); }
void each(EmbeddingBackward& op, auto move) { move(op.ids, op.dy, op.dtable); }
void each(ResidualAdd& op, auto move) { move(op.x, op.residual, op.y); }
void each(Copy& op, auto move) { move(op.x, op.y); }
void each(Fill& op, auto move) { move(op.y); }
void each(AdamW& op, auto move) {
  move(op.parameter, op.first_moment, op.second_moment, op.gradient, op.copy);
}
void each(SumOfSquares& op, auto move) { move(op.x, op.sum); }

}  // namespace

Relocated::Relocated(Arena& arena, const FarMemory& far) : far_(far) {
  for (const std::span<std::byte> near : arena.memory()) {
    blocks_.push_back({near, far_.allocate(near.size())});
    far_.upload(blocks_.back().far, near);
  }
}

Relocated::~Relocated() {
  for (const Block& block : blocks_) far_.release(block.far);
}

template <class T>
T* Relocated::far_address(T* near) const {
  using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  const auto* address = reinterpret_cast<const std::byte*>(near);
  for (const Block& block : blocks_)
    if (address >= block.near.data() && address < block.near.data() + block.near.size())
      return reinterpret_cast<T*>(static_cast<Byte*>(block.far + (address - block.near.data())));
  return near;  // no memory: an argument left out, or one of no elements
}

Operation Relocated::moved(Operation operation) const {
  const auto move_one = [&](auto& argument) {
    using Argument = std::remove_reference_t<decltype(argument)>;
    if constexpr (requires { argument.row_stride; })
      argument.data = far_address(argument.data);
    else if constexpr (std::is_pointer_v<Argument>)
      argument = far_address(argument);
    else
      argument = Argument(far_address(argument.data()), argument.size());
  };
  std::visit([&](auto& op) { each(op, [&](auto&... arguments) { (move_one(arguments), ...); }); },
             operation);
  return operation;
}

void Relocated::fetch() const {
  for (const Block& block : blocks_) far_.download(block.near, block.far);
}

}  // namespace meshplan::kernels::testing
