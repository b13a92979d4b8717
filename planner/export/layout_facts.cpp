#include "planner/export/layout_facts.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "planner/export/canonical_layout.h"
#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

/// The names of an enumeration, in its own order.
template <typename Names>
auto words_of(const Names& names) {
  std::array<std::string_view, std::tuple_size_v<Names>> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = names[i].first;
  return out;
}

constexpr std::array<std::string_view, 6> kDataTypes = {"fp32", "tf32", "fp16",
                                                        "bf16", "fp8",  "fp4"};
constexpr std::array<std::string_view, 3> kOptimizers = {"adam", "sgd", "lion"};
constexpr std::array<std::string_view, 5> kActivations = {"gelu", "relu", "squared_relu", "swiglu",
                                                          "geglu"};
constexpr std::array<std::string_view, 4> kPositions = {"learned", "rotary", "alibi", "none"};

constexpr std::array<Axis, 4> kDataInside = {Axis::Tp, Axis::Cp, Axis::Dp, Axis::Pp};

using S = const Situation&;

std::int64_t microbatches(S s) {
  const std::int64_t at_once = std::int64_t{1} * s.layout.dp * s.layout.mbs;
  return s.workload.global_batch / at_once;
}

std::vector<Fact> all_facts() {
  constexpr FactType kNumber = FactType::Number;
  constexpr FactType kFlag = FactType::Flag;
  constexpr FactType kWord = FactType::Word;
  static const auto kSchedules = words_of(kScheduleNames);
  static const auto kRecomputes = words_of(kRecomputeNames);
  static const auto kOverlaps = words_of(kOverlapNames);
  static const auto kContexts = words_of(kContextNames);
  static const auto kOffloads = words_of(kOffloadNames);
  return {
      // The layout.
      {"tp", kNumber, [](S s) { return std::int64_t{s.layout.tp}; }},
      {"pp", kNumber, [](S s) { return std::int64_t{s.layout.pp}; }},
      {"dp", kNumber, [](S s) { return std::int64_t{s.layout.dp}; }},
      {"cp", kNumber, [](S s) { return std::int64_t{s.layout.cp}; }},
      {"ep", kNumber, [](S s) { return std::int64_t{s.layout.ep}; }},
      {"etp", kNumber, [](S s) { return std::int64_t{s.layout.expert_tp()}; }},
      {"vpp", kNumber, [](S s) { return std::int64_t{s.layout.vpp}; }},
      {"mbs", kNumber, [](S s) { return std::int64_t{s.layout.mbs}; }},
      {"zero", kNumber, [](S s) { return std::int64_t{s.layout.zero}; }},
      {"hsdp", kNumber, [](S s) { return std::int64_t{s.layout.hsdp}; }},
      {"chunks", kNumber, [](S s) { return std::int64_t{s.layout.chunks()}; }},
      {"world", kNumber,
       [](S s) { return std::int64_t{s.layout.tp} * s.layout.pp * s.layout.dp * s.layout.cp; }},
      {"sp", kFlag, [](S s) { return std::int64_t{s.layout.sp && s.layout.tp > 1}; }},
      {"recompute", kWord, [](S s) { return static_cast<std::int64_t>(s.layout.recompute); },
       kRecomputes},
      {"overlap", kWord, [](S s) { return static_cast<std::int64_t>(effective_overlap(s.layout)); },
       kOverlaps},
      {"cp_kind", kWord, [](S s) { return static_cast<std::int64_t>(s.layout.cp_kind); },
       kContexts},
      {"offload", kWord, [](S s) { return static_cast<std::int64_t>(s.layout.offload); },
       kOffloads},
      {"schedule", kWord, [](S s) { return static_cast<std::int64_t>(s.layout.schedule); },
       kSchedules},
      {"data_inside_pipeline", kFlag,
       [](S s) { return std::int64_t{places_ranks_as(s.layout, kDataInside)}; }},
      {"pipeline_inside_data", kFlag,
       [](S s) { return std::int64_t{places_ranks_as(s.layout, kPipelineInside)}; }},
      {"even_stages", kFlag, [](S s) { return std::int64_t{s.split.even}; }},
      {"ends_short", kFlag, [](S s) { return std::int64_t{s.split.ends_short}; }},
      {"least_layers", kNumber, [](S s) { return std::int64_t{s.split.least}; }},
      {"most_layers", kNumber, [](S s) { return std::int64_t{s.split.most}; }},
      // The model.
      {"layers", kNumber, [](S s) { return std::int64_t{s.model.layers}; }},
      {"hidden", kNumber, [](S s) { return std::int64_t{s.model.hidden}; }},
      {"heads", kNumber, [](S s) { return std::int64_t{s.model.heads}; }},
      {"kv_heads", kNumber, [](S s) { return std::int64_t{s.model.kv_heads}; }},
      {"ffn", kNumber, [](S s) { return std::int64_t{s.model.ffn}; }},
      {"vocab", kNumber, [](S s) { return std::int64_t{s.model.vocab}; }},
      {"experts", kNumber,
       [](S s) { return std::int64_t{s.model.experts ? s.model.experts->count : 0}; }},
      {"max_positions", kNumber, [](S s) { return std::int64_t{s.model.max_positions}; }},
      {"tied_embeddings", kFlag, [](S s) { return std::int64_t{s.model.tied_embeddings}; }},
      {"parallel_residual", kFlag, [](S s) { return std::int64_t{s.model.parallel_residual}; }},
      {"post_norms", kFlag, [](S s) { return std::int64_t{s.model.post_norms}; }},
      {"wide_query_key_norm", kFlag, [](S s) { return std::int64_t{s.model.wide_query_key_norm}; }},
      {"shared_expert_gate", kFlag,
       [](S s) { return std::int64_t{s.model.experts && s.model.experts->shared_gate}; }},
      {"latent_attention", kFlag,
       [](S s) { return std::int64_t{s.model.latent_attention.has_value()}; }},
      {"activation", kWord, [](S s) { return static_cast<std::int64_t>(s.model.activation); },
       kActivations},
      {"position", kWord, [](S s) { return static_cast<std::int64_t>(s.model.position); },
       kPositions},
      // The workload.
      {"training", kFlag,
       [](S s) { return std::int64_t{s.workload.kind == Workload::Kind::Training}; }},
      {"seq_len", kNumber, [](S s) { return std::int64_t{s.workload.seq_len}; }},
      {"global_batch", kNumber, [](S s) { return std::int64_t{s.workload.global_batch}; }},
      {"microbatches", kNumber, microbatches},
      {"dtype", kWord, [](S s) { return static_cast<std::int64_t>(s.workload.data_type); },
       kDataTypes},
      {"optimizer", kWord, [](S s) { return static_cast<std::int64_t>(s.workload.optimizer); },
       kOptimizers},
      // The cluster.
      {"devices_per_node", kNumber,
       [](S s) { return std::int64_t{s.cluster.devices_used_per_node}; }},
      {"compute_capability", kNumber,
       [](S s) { return std::int64_t{s.cluster.device.compute_capability}; }},
  };
}

}  // namespace

SplitShape split_shape(const std::vector<int>& layers_per_chunk) {
  if (layers_per_chunk.empty()) return {};
  SplitShape out;
  const auto [least, most] = std::minmax_element(layers_per_chunk.begin(), layers_per_chunk.end());
  out.least = *least;
  out.most = *most;
  out.even = out.least == out.most;
  const std::size_t chunks = layers_per_chunk.size();
  if (chunks < 2) return out;
  out.ends_short = chunks == 2 ? out.even
                               : layers_per_chunk.front() == out.most - 1 &&
                                     layers_per_chunk.back() == out.most - 1;
  for (std::size_t c = 1; c + 1 < chunks; ++c) {
    out.ends_short = out.ends_short && layers_per_chunk[c] == out.most;
  }
  return out;
}

std::span<const Fact> layout_facts() {
  static const std::vector<Fact> kFacts = all_facts();
  return kFacts;
}

}  // namespace meshplan::planner
