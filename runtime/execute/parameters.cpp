#include "runtime/execute/parameters.h"

#include <algorithm>
#include <cmath>

#include "planner/layout/stage_split.h"

namespace meshplan::runtime {
namespace {

/// Parameters start at multiples of 64 bytes, as vector units like it.
constexpr std::int64_t kAlignment = 16;
constexpr float kStddev = 0.02F;

/// Streams of random numbers: a few for the ends, then 32 a layer.
constexpr std::uint64_t kTokenTable = 0, kPositions = 1, kFinalNorm = 2, kFinalShift = 3, kHead = 4,
                        kHeadBias = 5, kFirstLayer = 8, kPerLayer = 32;

/// One matrix in a segment, and the parameters side by side in it.
struct Stored {
  Weight* weight = nullptr;
  std::int64_t rows = 0, cols = 0, offset = 0;
  struct Piece {
    Parameter parameter;
    std::int64_t first = 0, cols = 0;  ///< columns in the stored matrix
  };
  std::vector<Piece> pieces;
};

/// Makes the list of stored matrices of one segment.
class Plan {
 public:
  explicit Plan(int segment) : segment_(segment) {}

  void whole(Weight& weight, const std::string& name, std::uint64_t index, std::int64_t rows,
             std::int64_t cols, float stddev, float mean) {
    add(weight, rows, cols,
        {{piece(name, index, rows, cols, 0, 0, Copies::AllRanks, stddev, mean), 0, cols}});
  }
  void row_part(Weight& weight, const std::string& name, std::uint64_t index, std::int64_t rows,
                std::int64_t cols, std::int64_t begin, std::int64_t end, float stddev) {
    add(weight, end - begin, cols,
        {{piece(name, index, rows, cols, begin, 0, Copies::None, stddev, 0), 0, cols}});
  }
  struct Columns {
    std::string name;
    std::uint64_t index;
    std::int64_t cols, begin, end;
    Copies copies;
  };
  /// Column shards of several parameters with `rows` rows, side by side.
  void column_parts(Weight& weight, std::int64_t rows, float stddev,
                    const std::vector<Columns>& parts) {
    std::int64_t width = 0;
    std::vector<Stored::Piece> pieces;
    for (const Columns& c : parts) {
      pieces.push_back({piece(c.name, c.index, rows, c.cols, 0, c.begin, c.copies, stddev, 0),
                        width, c.end - c.begin});
      width += c.end - c.begin;
    }
    add(weight, rows, width, std::move(pieces));
  }

  /// Allocates the segment and points every weight into it. Not `updated`: values alone.
  Segment place(Device& device, kernels::ElementType type, int buckets, int shards, bool updated,
                std::vector<Parameter>& parameters) {
    const std::int64_t grain = kAlignment * buckets * shards;
    const std::int64_t size = (end_ + grain - 1) / grain * grain;
    Segment segment;
    segment.buckets = buckets;
    segment.shards = shards;
    segment.values = Tensor(device, 1, size, MemoryTerm::Weights, type);
    if (updated) {
      segment.gradients = Tensor(device, 1, size, MemoryTerm::Gradients);
      segment.first_moment = Tensor(device, 1, size / shards, MemoryTerm::Optimizer);
      segment.second_moment = Tensor(device, 1, size / shards, MemoryTerm::Optimizer);
      if (type != kernels::ElementType::F32) {
        segment.master = Tensor(device, 1, size / shards, MemoryTerm::Optimizer);
      }
    }
    for (const Tensor& zeroed :
         {segment.values, segment.gradients, segment.first_moment, segment.second_moment}) {
      if (!zeroed.empty()) device.launch(kernels::Fill{zeroed.view(), 0.0F});
    }
    for (Stored& stored : stored_) {
      const auto at = [&](const Tensor& flat) -> kernels::TensorView {
        if (flat.empty()) return {};
        const auto count = static_cast<std::size_t>(stored.rows * stored.cols);
        const Buffer part = flat.buffer().part(static_cast<std::size_t>(stored.offset), count);
        return {part.data, stored.rows, stored.cols, stored.cols, part.type};
      };
      *stored.weight = {at(segment.values), at(segment.gradients)};
      for (Stored::Piece& p : stored.pieces) {
        p.parameter.part.value = kernels::columns(stored.weight->value, p.first, p.cols);
        if (updated) {
          p.parameter.part.gradient = kernels::columns(stored.weight->gradient, p.first, p.cols);
        }
        p.parameter.segment = segment_;
        parameters.push_back(std::move(p.parameter));
      }
    }
    return segment;
  }

  [[nodiscard]] bool empty() const { return stored_.empty(); }

 private:
  static Parameter piece(const std::string& name, std::uint64_t index, std::int64_t rows,
                         std::int64_t cols, std::int64_t first_row, std::int64_t first_col,
                         Copies copies, float stddev, float mean) {
    return {name, index, rows, cols, first_row, first_col, copies, {}, stddev, mean, 0};
  }
  void add(Weight& weight, std::int64_t rows, std::int64_t cols,
           std::vector<Stored::Piece> pieces) {
    stored_.push_back({&weight, rows, cols, end_, std::move(pieces)});
    end_ += (rows * cols + kAlignment - 1) / kAlignment * kAlignment;
  }

  int segment_;
  std::vector<Stored> stored_;
  std::int64_t end_ = 0;
};

struct Share {
  const planner::Transformer& model;
  int tp, rank;
  [[nodiscard]] std::int64_t begin(std::int64_t n) const { return part_begin(n, tp, rank); }
  [[nodiscard]] std::int64_t end(std::int64_t n) const { return part_begin(n, tp, rank + 1); }
};

void plan_norm(Plan& plan, const planner::Transformer& model, Weight& scale, Weight& shift,
               const std::string& name, std::uint64_t scale_index, std::uint64_t shift_index) {
  plan.whole(scale, name, scale_index, 1, model.hidden, 0, 1);
  if (model.normalization == planner::Normalization::LayerNorm) {
    plan.whole(shift, name + " shift", shift_index, 1, model.hidden, 0, 0);
  }
}

void plan_layer(Plan& plan, const Share& share, int layer, LayerParameters& to) {
  const planner::Transformer& model = share.model;
  const std::string prefix = "layer " + std::to_string(layer) + " ";
  const std::uint64_t base = kFirstLayer + kPerLayer * static_cast<std::uint64_t>(layer);
  const std::int64_t hidden = model.hidden, d = model.head_dim, ffn = model.ffn;
  // GPT-2: what is added to the residual stream starts smaller, so that its variance does not grow
  // with depth.
  const float into_residual = kStddev / std::sqrt(2.0F * static_cast<float>(model.layers));
  const HeadShare heads = head_share(model, share.tp, share.rank);
  const Copies kv_copies = model.kv_heads < share.tp ? Copies::SameKvHeads : Copies::None;
  const auto qkv = [&](std::uint64_t offset, const std::string& what) {
    const std::int64_t q = heads.first_head * d, kv = heads.first_kv_head * d;
    return std::vector<Plan::Columns>{{prefix + "query" + what, base + offset, model.heads * d, q,
                                       q + heads.heads * d, Copies::None},
                                      {prefix + "key" + what, base + offset + 1, model.kv_heads * d,
                                       kv, kv + heads.kv_heads * d, kv_copies},
                                      {prefix + "value" + what, base + offset + 2,
                                       model.kv_heads * d, kv, kv + heads.kv_heads * d, kv_copies}};
  };
  const auto up = [&](std::uint64_t offset, const std::string& what) {
    std::vector<Plan::Columns> parts;
    if (model.gated()) {
      parts.push_back({prefix + "gate" + what, base + offset, ffn, share.begin(ffn), share.end(ffn),
                       Copies::None});
    }
    parts.push_back({prefix + "up" + what, base + offset + 1, ffn, share.begin(ffn), share.end(ffn),
                     Copies::None});
    return parts;
  };

  plan_norm(plan, model, to.norm1, to.norm1_shift, prefix + "norm 1", base, base + 1);
  plan.column_parts(to.qkv, hidden, kStddev, qkv(2, ""));
  if (model.qkv_bias) plan.column_parts(to.qkv_bias, 1, 0, qkv(5, " bias"));
  plan.row_part(to.projection, prefix + "projection", base + 8, model.heads * d, hidden,
                heads.first_head * d, (heads.first_head + heads.heads) * d, into_residual);
  if (model.projection_bias) {
    plan.whole(to.projection_bias, prefix + "projection bias", base + 9, 1, hidden, 0, 0);
  }
  plan_norm(plan, model, to.norm2, to.norm2_shift, prefix + "norm 2", base + 10, base + 11);
  plan.column_parts(to.up, hidden, kStddev, up(12, ""));
  if (model.mlp_bias) plan.column_parts(to.up_bias, 1, 0, up(14, " bias"));
  plan.row_part(to.down, prefix + "down", base + 16, ffn, hidden, share.begin(ffn), share.end(ffn),
                into_residual);
  if (model.mlp_bias) plan.whole(to.down_bias, prefix + "down bias", base + 17, 1, hidden, 0, 0);
}

void plan_table(Plan& plan, const Share& share, const std::string& name, std::uint64_t index,
                Weight& to) {
  const std::int64_t vocab = share.model.vocab;
  plan.row_part(to, name, index, vocab, share.model.hidden, share.begin(vocab), share.end(vocab),
                kStddev);
}

void draw(const std::vector<Parameter>& parameters, std::uint64_t seed, Device& device) {
  for (const Parameter& p : parameters) {
    if (p.stddev == 0) {
      device.launch(kernels::Fill{p.part.value, p.mean});
    } else {
      device.launch(kernels::NormalFill{
          p.part.value, p.mean, p.stddev, {seed, p.index}, p.first_row, p.first_col});
    }
  }
}

/// How the parameters of a rank are stored.
struct StateOptions {
  kernels::ElementType type = kernels::ElementType::F32;
  std::vector<int> buckets;  ///< by chunk of the model
  int shards = 1;
  bool updated = true;  ///< with gradients and moments
};

/// Allocates the parameters of a rank, not drawn yet.
ModelState laid_out(const planner::Transformer& model, const planner::Layout& layout,
                    const StateOptions& options, const Coordinates& here, Device& device) {
  const Share share{model, layout.tp, here.tp};
  const std::vector<int> split = planner::stage_split(layout, model);
  const int chunks = layout.chunks();

  ModelState state;
  state.first_layer.resize(chunks, 0);
  for (int c = 1; c < chunks; ++c) state.first_layer[c] = state.first_layer[c - 1] + split[c - 1];
  for (int c = 0; c < chunks; ++c) {
    if (planner::owner_of_chunk(layout, c) == here.pp) state.chunks.push_back(c);
  }
  state.layers.resize(state.chunks.size());

  for (std::size_t i = 0; i < state.chunks.size(); ++i) {
    const int chunk = state.chunks[i];
    Plan plan(static_cast<int>(i));
    if (chunk == 0) {
      if (!model.tied_embeddings) {
        plan_table(plan, share, "token table", kTokenTable, state.embedding.tokens);
      }
      if (model.position == planner::PositionKind::Learned) {
        const int rows =
            model.learned_positions > 0 ? model.learned_positions : model.max_positions;
        plan.whole(state.embedding.positions, "positions", kPositions, rows, model.hidden, kStddev,
                   0);
      }
    }
    state.layers[i].resize(split[chunk]);
    for (int l = 0; l < split[chunk]; ++l) {
      plan_layer(plan, share, state.first_layer[chunk] + l, state.layers[i][l]);
    }
    if (chunk == chunks - 1) {
      plan_norm(plan, model, state.head.norm, state.head.norm_shift, "final norm", kFinalNorm,
                kFinalShift);
      if (!model.tied_embeddings) plan_table(plan, share, "head", kHead, state.head.classes);
      if (model.head_bias) {
        plan.column_parts(state.head.bias, 1, 0,
                          {{"head bias", kHeadBias, model.vocab, share.begin(model.vocab),
                            share.end(model.vocab), Copies::None}});
      }
    }
    state.segments.push_back(plan.place(device, options.type, options.buckets.at(chunk),
                                        options.shards, options.updated, state.parameters));
  }
  const bool holds_end =
      !state.chunks.empty() && (state.chunks.front() == 0 || state.chunks.back() == chunks - 1);
  if (model.tied_embeddings && holds_end) {
    Plan plan(static_cast<int>(state.segments.size()));
    plan_table(plan, share, "token table", kTokenTable, state.embedding.tokens);
    state.segments.push_back(
        plan.place(device, options.type, 1, options.shards, options.updated, state.parameters));
    state.segments.back().tied_table = true;
    state.head.classes = state.embedding.tokens;
  }
  return state;
}

}  // namespace

int ModelState::local(int chunk) const {
  return static_cast<int>(std::lower_bound(chunks.begin(), chunks.end(), chunk) - chunks.begin());
}

HeadShare head_share(const planner::Transformer& model, int tp, int tp_rank) {
  HeadShare share;
  share.heads = model.heads / tp;
  share.first_head = tp_rank * share.heads;
  if (model.kv_heads >= tp) {
    share.kv_heads = model.kv_heads / tp;
    share.first_kv_head = tp_rank * share.kv_heads;
  } else {
    share.kv_heads = 1;
    share.first_kv_head = tp_rank / (tp / model.kv_heads);
  }
  return share;
}

ModelState make_model_state(const Training& training, const Coordinates& here, Device& device) {
  StateOptions options;
  options.type = element_type(training);
  options.shards = training.layout.zero >= 1 ? training.layout.dp : 1;
  for (const planner::ChunkFacts& chunk : training.schedule.chunks) {
    options.buckets.push_back(std::max(1, chunk.gradient_buckets));
  }
  ModelState state = laid_out(training.model, training.layout, options, here, device);
  draw(state.parameters, training.options.seed, device);
  for (const Segment& segment : state.segments) {
    if (segment.master.empty()) continue;
    const int shard = options.shards > 1 ? here.dp : 0;
    for (int b = 0; b < segment.buckets; ++b) {
      device.launch(kernels::Copy{row_view(segment.shard(segment.values, b, shard)),
                                  row_view(segment.moments(segment.master, b))});
    }
  }
  return state;
}

ModelState make_weights(const planner::Transformer& model, const planner::Layout& layout,
                        kernels::ElementType type, std::uint64_t seed, const Coordinates& here,
                        Device& device) {
  StateOptions options;
  options.type = type;
  options.buckets.assign(static_cast<std::size_t>(layout.chunks()), 1);
  options.updated = false;
  ModelState state = laid_out(model, layout, options, here, device);
  draw(state.parameters, seed, device);
  return state;
}

}  // namespace meshplan::runtime
