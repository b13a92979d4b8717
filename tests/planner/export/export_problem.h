#pragma once
#include "planner/export/framework_rules.h"
#include "planner/layout/layout_text.h"
#include "planner/problem.h"
#include "profiles/cluster_load.h"
#include "profiles/data_files.h"

namespace meshplan::planner {

/// A small model of Llama's shape: 32 layers, 32 heads, 8 KV heads, untied.
inline Transformer llama_shape() {
  Transformer model;
  model.name = "small";
  model.model_type = "llama";
  model.layers = 32;
  model.hidden = 4096;
  model.heads = 32;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.ffn = 14336;
  model.vocab = 128256;
  model.max_positions = 8192;
  model.embedding_width = 4096;
  model.activation = Activation::SwiGlu;
  model.normalization = Normalization::RmsNorm;
  return model;
}

inline void give_experts(Problem& problem) {
  problem.model.experts = Experts{.count = 8, .per_token = 2, .width = 1024};
}

inline void make_inference(Problem& problem) {
  problem.workload = {};
  problem.workload.kind = Workload::Kind::Inference;
  problem.workload.prompt = 1024;
  problem.workload.output = 256;
  problem.workload.concurrency = 64;
}

inline void make_training(Problem& problem) {
  problem.workload = {};
  problem.workload.seq_len = 8192;
  problem.workload.global_batch = 256;
}

/// Training of llama_shape on 4 nodes of 8 H100s.
inline Problem export_problem() {
  const profiles::DataFiles files;
  Problem problem;
  problem.model = llama_shape();
  problem.cluster = profiles::load_cluster("dgx-h100:4", files);
  make_training(problem);
  return problem;
}

inline const FrameworkRules& shipped_rules() {
  static const FrameworkRules kShipped{profiles::DataFiles()};
  return kShipped;
}

}  // namespace meshplan::planner
