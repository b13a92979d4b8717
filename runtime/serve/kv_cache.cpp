#include "runtime/serve/kv_cache.h"

#include "runtime/execute/parameters.h"

namespace meshplan::runtime {
namespace {

using kernels::TensorView;

/// Token `token` of every sequence that lies in `rows`, one sequence every `distance` rows.
TensorView of_each(const TensorView& rows, std::int64_t token, std::int64_t distance,
                   int sequences) {
  TensorView out = kernels::rows(rows, token, sequences);
  out.row_stride = rows.row_stride * distance;
  return out;
}

}  // namespace

KvCache::KvCache(const ModelContext& context, int layers, const SlotPlan& plan)
    : capacity_(plan.capacity) {
  const HeadShare share = head_share(context.model(), context.layout().tp, context.groups.here.tp);
  const std::int64_t width = std::int64_t{share.kv_heads} * context.model().head_dim;
  for (int layer = 0; layer < layers; ++layer) {
    for (std::vector<Tensor>* side : {&keys_, &values_}) {
      side->push_back(
          context.activation(plan.slots * plan.capacity, width, MemoryTerm::Activations));
    }
  }
}

TensorView KvCache::slots(const Tensor& all, const Batch& batch) const {
  return kernels::rows(all.view(), batch.slot * capacity_, batch.sequences * capacity_);
}

TensorView KvCache::keys(int layer, const Batch& batch) const {
  return slots(keys_[static_cast<std::size_t>(layer)], batch);
}

TensorView KvCache::values(int layer, const Batch& batch) const {
  return slots(values_[static_cast<std::size_t>(layer)], batch);
}

void KvCache::append(const ModelContext& context, int layer, const Batch& batch,
                     const TensorView& keys, const TensorView& values) const {
  const auto put = [&](const TensorView& fresh, const TensorView& cache) {
    if (batch.tokens == 1) {
      context.run(kernels::Copy{kernels::rows(fresh, batch.row, batch.sequences),
                                of_each(cache, batch.first, capacity_, batch.sequences)});
      return;
    }
    for (int s = 0; s < batch.sequences; ++s) {
      context.run(kernels::Copy{kernels::rows(fresh, batch.row + s * batch.tokens, batch.tokens),
                                kernels::rows(cache, s * capacity_ + batch.first, batch.tokens)});
    }
  };
  put(keys, this->keys(layer, batch));
  put(values, this->values(layer, batch));
}

profiles::Bytes KvCache::size() const {
  profiles::Bytes sum{};
  for (const std::vector<Tensor>* side : {&keys_, &values_}) {
    for (const Tensor& tensor : *side) {
      sum += profiles::Bytes{static_cast<std::int64_t>(tensor.buffer().bytes())};
    }
  }
  return sum;
}

}  // namespace meshplan::runtime
