#pragma once
#include <vector>

#include "profiles/units.h"
#include "runtime/execute/model_context.h"
#include "runtime/serve/batches.h"

namespace meshplan::runtime {

/// Keys and values of every request under way, of this rank's layers and key-value heads. With K of
/// those and d = head_dim, each layer has two matrices [slots * capacity, K d]; request r's token
/// at position p is row slot(r) * capacity + p.
class KvCache {
 public:
  KvCache(const ModelContext& context, int layers, const SlotPlan& plan);

  /// Puts the keys and values of a batch's tokens, rows of the micro-batch, where they belong.
  void append(const ModelContext& context, int layer, const Batch& batch,
              const kernels::TensorView& keys, const kernels::TensorView& values) const;

  /// The slots of a batch, whole.
  [[nodiscard]] kernels::TensorView keys(int layer, const Batch& batch) const;
  [[nodiscard]] kernels::TensorView values(int layer, const Batch& batch) const;

  [[nodiscard]] profiles::Bytes size() const;

 private:
  [[nodiscard]] kernels::TensorView slots(const Tensor& all, const Batch& batch) const;

  std::int64_t capacity_;
  std::vector<Tensor> keys_, values_;  ///< by layer of this rank
};

}  // namespace meshplan::runtime
