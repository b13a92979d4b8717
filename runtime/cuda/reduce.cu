#include <cstddef>

#include "kernels/cuda/map.h"
#include "runtime/cuda/reduce.h"

namespace meshplan::runtime::cuda {
namespace {

using kernels::cuda::Input;
using kernels::cuda::Output;
using kernels::cuda::Place;

/// The operands of a reduction, from[r] being those of rank r.
struct Operands {
  Input from[kMostLocalRanks];
  Output out;
  int ranks = 1;
  bool sum = true;
};

template <int kWidth>
struct OverRanks {
  Operands op;

  struct Nothing {};
  MESHPLAN_DEVICE Nothing load(const Place&, bool) const { return {}; }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Nothing&) const {
    float total[kWidth], theirs[kWidth];
    kernels::cuda::load_floats<kWidth>(op.from[0], place, aligned, total);
    for (int r = 1; r < op.ranks; ++r) {
      kernels::cuda::load_floats<kWidth>(op.from[r], place, aligned, theirs);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float more = total[i] < theirs[i] ? theirs[i] : total[i];
        total[i] = op.sum ? total[i] + theirs[i] : more;
      }
    }
    kernels::cuda::store<kWidth>(op.out, place, aligned, total);
  }
};

}  // namespace

void reduce(const Reduce& op, kernels::cuda::Queue& queue, cudaStream_t stream) {
  if (op.count == 0) return;
  Operands operands;
  // One row each.
  const kernels::TensorView out{op.out, 1, op.count, op.count, op.type};
  kernels::cuda::Chunks chunks = kernels::cuda::chunks_of(1, op.count, {out});
  for (int r = 0; r < op.ranks; ++r) {
    const auto* const begin =
        static_cast<const std::byte*>(op.from[r]) + op.begin * kernels::size_in_bytes(op.type);
    const kernels::ConstTensorView from{begin, 1, op.count, op.count, op.type};
    chunks.aligned = chunks.aligned && kernels::cuda::chunks_aligned(from, chunks.width);
    operands.from[r] = Input(from);
  }
  operands.out = Output(out);
  operands.ranks = op.ranks;
  operands.sum = op.reduction == Reduction::Sum;
  kernels::cuda::map<OverRanks>(queue, stream, chunks, operands);
}

}  // namespace meshplan::runtime::cuda
