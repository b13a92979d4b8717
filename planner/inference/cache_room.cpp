#include "planner/inference/cache_room.h"

#include <algorithm>
#include <boost/range/iterator_range.hpp>

#include "planner/inference/step_time.h"
#include "planner/layout/stage_split.h"
#include "planner/memory/rank_parameters.h"
#include "planner/model/model_graphs.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::DataType;

/// Blocks of 4-bit weights share a scale of 8 bits. Source: NVFP4, NVIDIA Blackwell white paper.
constexpr double kScaledFourBits = 4 + 8.0 / 16;

double weight_bytes(const Operator& op, DataType type) {
  const bool product = op.kind == OperatorKind::Gemm || op.kind == OperatorKind::GroupedGemm;
  if (!product || op.split == Split::Vocabulary || profiles::bits(type) >= 16) {
    return profiles::bits(type) > 16 ? 4 : 2;
  }
  return type == DataType::Fp4 ? kScaledFourBits / 8 : 1;
}

/// Weights of one block on one rank; `attention` cuts what stands before the first residual sum.
Bytes block_weights(const OperatorGraph& graph, DataType type, const LayerSplit& attention,
                    const LayerSplit& rest) {
  double bytes = 0;
  bool in_attention = true;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    const Operator& op = graph[vertex];
    const LayerSplit& split = in_attention ? attention : rest;
    const std::int64_t held = rank_parameters(op, split) + rank_tied_parameters(op, split);
    bytes += static_cast<double>(held) * weight_bytes(op, type);
    if (op.kind == OperatorKind::Residual) in_attention = false;
  }
  return {static_cast<std::int64_t>(bytes)};
}

/// Keys and values of one token in one layer on one rank.
Bytes layer_cache(const Problem& problem, const profiles::Engine& engine, int tp) {
  const Transformer& model = problem.model;
  const DataType type = cache_type(engine, problem.workload.data_type);
  if (const auto& latent = model.latent_attention) {
    // One latent and one rotary key serve all heads: every rank keeps them whole.
    return profiles::storage(latent->key_value_rank + latent->rope_head_dim, type);
  }
  const std::int64_t heads = std::max(1, (model.kv_heads + tp - 1) / tp);
  return profiles::storage(heads * 2 * model.head_dim, type);
}

/// Live tensors of the widest moment of a layer over the fullest step, and the logits.
Bytes step_bytes(const Problem& problem, const profiles::Engine& engine, const Layout& layout,
                 bool head) {
  const Transformer& model = problem.model;
  const std::int64_t tokens = engine.max_batched_tokens;
  std::int64_t inner = (model.gated() ? 3 : 2) * std::int64_t{model.ffn} / layout.tp;
  if (model.experts) {
    const std::int64_t copies = std::int64_t{model.experts->per_token} * model.experts->width;
    inner = std::max(inner, 3 * copies / layout.expert_tp() +
                                2 * model.experts->per_token * std::int64_t{model.hidden});
  }
  const std::int64_t element = profiles::bits(problem.workload.data_type) > 16 ? 4 : 2;
  Bytes out{element * tokens * (2 * std::int64_t{model.hidden} + inner)};
  if (head) {
    const std::int64_t rows = std::min(engine.max_sequences, engine.max_batched_tokens);
    out += Bytes{rows * model.vocab / layout.tp * (element + 4)};
  }
  return out;
}

}  // namespace

std::vector<ServingMemory> serving_memory(const Problem& problem, const profiles::Engine& engine,
                                          const Layout& layout) {
  const Transformer& model = problem.model;
  const DataType type = problem.workload.data_type;
  const bool attention_dp = engine.attention_data_parallel && model.experts && layout.tp > 1;
  LayerSplit rest = layer_split(layout);
  rest.sp = false;
  LayerSplit attention = rest;
  if (attention_dp) attention.tp = 1;
  const ModelGraphs graphs =
      model_graphs(with_padded_vocabulary(model, layout.tp), true, DataType::Bf16);
  const Bytes dense = block_weights(graphs.dense_layer, type, attention, rest);
  const Bytes sparse = block_weights(graphs.sparse_layer, type, attention, rest);
  const Bytes embedding = block_weights(graphs.embedding, type, rest, rest);
  const Bytes head = block_weights(graphs.head, type, rest, rest);
  const Bytes per_layer = layer_cache(problem, engine, attention.tp);
  const Bytes total = problem.memory_limit();

  std::vector<ServingMemory> out;
  const std::vector<int> split = stage_split(layout, model);
  int first = 0;
  for (std::size_t s = 0; s < split.size(); ++s) {
    const bool starts = s == 0;
    const bool ends = s + 1 == split.size();
    const int many = sparse_layers(model, first, split[s]);
    ServingMemory m;
    m.weights = std::int64_t{split[s] - many} * dense + std::int64_t{many} * sparse;
    if (starts) m.weights += embedding;
    // A head that is the embedding is held once where both are on one stage.
    if (ends && !(starts && model.tied_embeddings)) m.weights += head;
    m.step = step_bytes(problem, engine, layout, ends);
    m.context = engine.context;
    m.cache_per_token = std::int64_t{split[s]} * per_layer;
    const Bytes besides = m.weights + m.step + m.context;
    switch (engine.cache_rule) {
      case profiles::CacheRule::OfTotal:
        m.cache = scaled(total, engine.cache_fraction) - besides;
        break;
      case profiles::CacheRule::OfFree:
        m.cache =
            besides < total ? scaled(total - besides, engine.cache_fraction) : total - besides;
        break;
      case profiles::CacheRule::Static:
        m.cache = scaled(total - m.context, engine.cache_fraction) - m.weights;
        break;
    }
    m.cache = std::max(m.cache, Bytes{0});
    out.push_back(m);
    first += split[s];
  }
  return out;
}

CacheRoom cache_room(const std::vector<ServingMemory>& stages, const Problem& problem,
                     const profiles::Engine& engine, const Layout& layout) {
  CacheRoom out{INT64_MAX};
  for (const ServingMemory& stage : stages) {
    out.tokens = std::min(out.tokens, stage.cached_tokens());
  }
  const bool spread = engine.attention_data_parallel && problem.model.experts && layout.tp > 1;
  if (spread) out.tokens *= layout.tp;
  return out;
}

}  // namespace meshplan::planner
