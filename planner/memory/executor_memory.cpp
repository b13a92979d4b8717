#include "planner/memory/executor_memory.h"

#include <algorithm>
#include <cstdint>

namespace meshplan::planner {
namespace {

using profiles::Bytes;

constexpr int kFloat = 4;

}  // namespace

void as_our_executor(ActivationBytes& bytes, const Transformer& model, const Layout& layout,
                     const Workload& workload) {
  const bool sp = layout.sp && layout.tp > 1;
  const std::int64_t tokens = std::int64_t{layout.mbs} * workload.seq_len / layout.cp;
  const std::int64_t rows = tokens / (sp ? layout.tp : 1);
  const std::int64_t element = workload.data_type == profiles::DataType::Fp32 ? kFloat : 2;
  const std::int64_t whole = tokens * model.hidden * element;
  const std::int64_t stream = rows * model.hidden * element;
  const std::int64_t gathered = sp ? whole : 0;
  const std::int64_t dropped = model.dropout > 0 ? stream : 0;

  const std::int64_t norm_statistics =
      (model.normalization == Normalization::LayerNorm ? 2 : 1) * rows * kFloat;
  const std::int64_t masks = model.dropout > 0 ? 2 * rows * model.hidden : 0;
  const Bytes kept_otherwise{2 * norm_statistics - masks};
  if (layout.recompute == Recompute::Full) {
    bytes.rebuilt += kept_otherwise;
  } else {
    bytes.dense_layer += kept_otherwise;
  }
  bytes.dense_until_w = std::min(bytes.dense_until_w, bytes.dense_layer);
  bytes.embedding = {};
  bytes.head_input += {norm_statistics};
  bytes.head_input_gpipe = {stream};

  const std::int64_t activated = tokens * (model.ffn / layout.tp) * element;
  const std::int64_t up = (model.gated() ? 2 : 1) * activated;
  const std::int64_t context = tokens * (model.heads / layout.tp) * model.head_dim * element;
  const std::int64_t kv_heads = std::max(1, model.kv_heads / layout.tp);
  const std::int64_t qkv = context + 2 * tokens * kv_heads * model.head_dim * element;
  const std::int64_t recomputed = layout.recompute == Recompute::Selective ? context : 0;
  const std::int64_t worst =
      std::max({stream + dropped + gathered + activated,  //
                stream + whole + gathered - activated,
                dropped + gathered + qkv + context + recomputed - activated - up});
  const std::int64_t angles = model.position == PositionKind::Rotary
                                  ? std::int64_t{workload.seq_len} * model.head_dim * kFloat
                                  : 0;
  bytes.transient = {worst + angles};
  bytes.logits += Bytes{whole + gathered + angles};
}

}  // namespace meshplan::planner
