#include "tiny_training.h"

#include <utility>
#include <vector>

#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/schedule/build_schedule.h"

namespace meshplan::runtime {

planner::Transformer tiny_model(Family family, double dropout) {
  planner::Transformer model;
  model.layers = 4;
  model.hidden = 32;
  model.heads = model.kv_heads = 4;
  model.head_dim = 8;
  model.ffn = 64;
  model.vocab = 97;
  model.max_positions = 16;
  model.dropout = model.attention_dropout = dropout;
  if (family == Family::Gpt) {
    model.name = "tiny-gpt";
    model.activation = planner::Activation::Gelu;
    model.normalization = planner::Normalization::LayerNorm;
    model.position = planner::PositionKind::Learned;
    model.learned_positions = 16;
    model.tied_embeddings = true;
    model.qkv_bias = model.projection_bias = model.mlp_bias = true;
  } else {
    model.name = "tiny-llama";
    model.kv_heads = 2;
    model.ffn = 48;
    model.activation = planner::Activation::SwiGlu;
    model.normalization = planner::Normalization::RmsNorm;
    model.position = planner::PositionKind::Rotary;
  }
  if (family == Family::Qwen) {
    model.name = "tiny-qwen";
    model.kv_heads = 1;
    model.qkv_bias = model.head_bias = true;
    model.tied_embeddings = true;
  }
  return model;
}

Training tiny_training(const planner::Transformer& model, const std::string& layout,
                       int global_batch, int steps, int buckets, bool global_sync) {
  Training training;
  training.model = model;
  training.workload.data_type = profiles::DataType::Fp32;
  training.workload.seq_len = 16;
  training.workload.global_batch = global_batch;
  training.layout = planner::layout_from_text(layout);
  planner::ScheduleOptions options;
  options.global_sync = global_sync;
  options.recompute = training.layout.recompute != planner::Recompute::None;
  options.overlap_gradient_reduce = training.layout.overlap != planner::Overlap::None;
  options.chunks.resize(training.layout.chunks());
  for (planner::ChunkFacts& chunk : options.chunks) {
    chunk.gradient_buckets = training.layout.dp > 1 ? buckets : 0;
    chunk.gather_buckets = training.layout.zero >= 1 ? buckets : 0;
  }
  training.schedule = planner::build_schedule(
      training.layout.schedule, training.layout.pp, training.layout.chunks_per_stage(),
      planner::microbatches(training.layout, training.workload), options);
  training.options.steps = steps;
  training.options.captured_step = 0;
  return training;
}

}  // namespace meshplan::runtime
