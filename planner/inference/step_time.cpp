#include "planner/inference/step_time.h"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <cmath>

#include "planner/cost/compute/attention.h"
#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"
#include "planner/cost/compute/overlap.h"
#include "planner/inference/direct_all_reduce.h"
#include "planner/inference/experts_touched.h"
#include "planner/layout/stage_split.h"
#include "planner/memory/rank_parameters.h"
#include "planner/model/traffic.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::DataType;
using profiles::Seconds;

/// Of an element of what passes between operators: 16 bits, or as wide as the weights are.
int activation_bytes(DataType weights) { return profiles::bits(weights) > 16 ? 4 : 2; }

/// The host runs ahead of the device only where the device is the slower one, and each step begins
/// with an empty queue: neither hides the other wholly. Collectives come on top, for they wait
/// until the last rank has launched. p of planner/cost/compute/overlap.h.
constexpr double kLaunchOverlap = 3;

/// The scales of 4-bit weights, one byte to 16 of them, are read besides.
double scale_seconds(const RankGemm& g, const profiles::DeviceProfile& profile) {
  const double bytes = static_cast<double>(g.columns) * static_cast<double>(g.inner) / 16;
  return bytes / (profile.gemm.memory_efficiency * profile.device.memory_bandwidth.rate);
}

DataType sixteen_bits(DataType type) { return profiles::bits(type) < 16 ? DataType::Bf16 : type; }

bool is_product(const Operator& op) {
  return op.kind == OperatorKind::Gemm || op.kind == OperatorKind::GroupedGemm ||
         op.kind == OperatorKind::Router;
}

LayerSplit serving_split(const Layout& layout) {
  LayerSplit out = layer_split(layout);
  out.sp = false;
  return out;
}

}  // namespace

DataType cache_type(const profiles::Engine& engine, DataType weights) {
  const bool narrow = profiles::bits(weights) < 16;
  if (!narrow) return weights;
  return engine.cache_follows_weights ? DataType::Fp8 : DataType::Bf16;
}

StepPrices::StepPrices(const Problem& problem, const profiles::Engine& engine, const Layout& layout)
    : problem_(problem),
      engine_(engine),
      layout_(layout),
      split_(serving_split(layout)),
      attention_split_(split_),
      attention_dp_(engine.attention_data_parallel && problem.model.experts && layout.tp > 1),
      exchanges_(layout.ep > 1 && layout.dp > 1 && layout.ep > layout.tp),
      weight_type_(problem.workload.data_type),
      activation_bytes_(activation_bytes(problem.workload.data_type)),
      cache_type_(cache_type(engine, problem.workload.data_type)),
      graphs_(model_graphs(with_padded_vocabulary(problem.model, layout.tp), true,
                           problem.workload.data_type)),
      tp_shape_(group_shape(layout, Axis::Tp, problem.cluster)),
      tp_(tp_shape_, problem.cluster),
      ep_(exchanges_ ? expert_group_shape(layout, problem.cluster) : GroupShape{}, problem.cluster),
      hop_(layout.pp > 1 ? pipeline_hop(layout, 0, problem.cluster) : GroupShape{},
           problem.cluster) {
  if (attention_dp_) attention_split_.tp = 1;
  const std::vector<int> split = stage_split(layout, problem.model);
  int first = 0;
  for (std::size_t s = 0; s < split.size(); ++s) {
    const int sparse = sparse_layers(problem.model, first, split[s]);
    stages_.push_back({split[s] - sparse, sparse, s == 0, s + 1 == split.size()});
    first += split[s];
  }
  pair_seconds_ = seconds_per_pair();
}

const Operator& StepPrices::core_attention() const {
  const OperatorGraph& graph =
      boost::num_vertices(graphs_.dense_layer) > 0 ? graphs_.dense_layer : graphs_.sparse_layer;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    if (graph[vertex].kind == OperatorKind::Attention) return graph[vertex];
  }
  return graph[0];
}

Seconds StepPrices::all_reduce(std::int64_t bytes) const {
  const Seconds nccl = tp_.time(Collective::AllReduce, Bytes{bytes});
  if (!engine_.custom_all_reduce) return nccl;
  const auto direct = direct_all_reduce_time(Bytes{bytes}, tp_shape_, problem_.cluster);
  return direct ? std::min(nccl, *direct) : nccl;
}

StepPrices::Part StepPrices::layer_part(const OperatorGraph& graph, std::int64_t tokens) const {
  Part out;
  const profiles::DeviceProfile& profile = problem_.profile;
  bool in_attention = true;
  const bool sparse = &graph == &graphs_.sparse_layer;
  // Each replica brings its own tokens to experts that all of them share.
  const double routed = static_cast<double>(tokens) * (exchanges_ ? layout_.dp : 1);
  const std::int64_t own = attention_dp_ ? (tokens + layout_.tp - 1) / layout_.tp : tokens;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    const Operator& op = graph[vertex];
    const LayerSplit& split = in_attention ? attention_split_ : split_;
    const std::int64_t here = in_attention ? own : tokens;
    if (op.kind == OperatorKind::GroupedGemm) {
      // Of the experts on this rank those that are touched, each with its share of the tokens.
      const RankGemm g = rank_gemm(op, static_cast<std::int64_t>(routed), split);
      const double share = static_cast<double>(g.groups) / op.experts;
      const double touched =
          std::max(1.0, share * experts_touched(op.experts, op.experts_per_token, routed));
      const double rows = routed * op.experts_per_token * share / touched;
      const Estimate time = gemm_time({std::max<std::int64_t>(1, std::llround(rows)), g.columns,
                                       g.inner, static_cast<int>(std::lround(touched))},
                                      weight_type_, profile, Clocks::Sustained);
      out.matrices += time.time.count();
    } else if (is_product(op)) {
      const RankGemm g = rank_gemm(op, here, split);
      const DataType type =
          op.kind == OperatorKind::Router ? sixteen_bits(weight_type_) : weight_type_;
      out.matrices +=
          gemm_time({g.rows, g.columns, g.inner, 1}, type, profile, Clocks::Sustained).time.count();
      if (type == DataType::Fp4) out.matrices += scale_seconds(g, profile);
    } else if (op.kind == OperatorKind::Norm || op.kind == OperatorKind::Activation ||
               op.kind == OperatorKind::Rotary || op.kind == OperatorKind::Dispatch ||
               op.kind == OperatorKind::Combine) {
      const Traffic traffic = operator_traffic(graph, vertex, here, 1, split);
      out.matrices += memory_bound_time(traffic.forward, profile).time.count();
    }
    const bool shared_expert = sparse && !in_attention && op.kind == OperatorKind::Gemm;
    if (op.reduces_output && !shared_expert && split.tp > 1) {
      out.communication += all_reduce(here * op.output * activation_bytes_).count();
    }
    const std::int64_t stream = tokens * problem_.model.hidden * activation_bytes_;
    if (op.kind == OperatorKind::Combine && layout_.tp > 1) {
      if (attention_dp_) {
        out.communication += (tp_.time(Collective::AllGather, Bytes{stream}) +
                              tp_.time(Collective::ReduceScatter, Bytes{stream}))
                                 .count();
      } else if (!exchanges_) {
        out.communication += all_reduce(stream).count();
      }
    }
    if (op.kind == OperatorKind::Combine && exchanges_) {
      const Bytes sent{stream / layout_.tp * op.experts_per_token};
      out.communication += 2 * ep_.time(Collective::AllToAll, sent).count();
    }
    if (op.kind == OperatorKind::Residual) in_attention = false;
  }
  return out;
}

StepPrices::Part StepPrices::head_part(std::int64_t rows) const {
  Part out;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graphs_.head))) {
    const Operator& op = graphs_.head[vertex];
    if (op.kind == OperatorKind::Gemm) {
      const RankGemm g = rank_gemm(op, rows, split_);
      out.matrices += gemm_time({g.rows, g.columns, g.inner, 1}, sixteen_bits(weight_type_),
                                problem_.profile, Clocks::Sustained)
                          .time.count();
      if (op.split == Split::Vocabulary && layout_.tp > 1) {
        const std::int64_t logits = rows * op.output * activation_bytes_;
        out.communication += tp_.time(Collective::AllGather, Bytes{logits}).count();
      }
    } else if (op.kind == OperatorKind::Norm) {
      const Traffic traffic = operator_traffic(graphs_.head, vertex, rows, 1, split_);
      out.matrices += memory_bound_time(traffic.forward, problem_.profile).time.count();
    }
  }
  return out;
}

double StepPrices::decode_attention_at(std::int64_t requests, std::int64_t keys) const {
  const Operator& op = core_attention();
  AttentionShape shape{requests,
                       1,
                       keys,
                       rank_heads(op, attention_split_),
                       rank_kv_heads(op, attention_split_),
                       op.head_dim,
                       op.value_head_dim,
                       true};
  if (const auto& latent = problem_.model.latent_attention) {
    // Absorbed form: all heads read one latent, keys and values at once; half of it counts as keys.
    shape.kv_heads = 1;
    shape.head_dim = shape.value_head_dim = (latent->key_value_rank + latent->rope_head_dim) / 2;
  }
  const auto of_keys = [&](std::int64_t seen) {
    AttentionShape cut = shape;
    cut.kv_len = std::min(shape.kv_len, seen);
    return attention_time(cut, AttentionPass::Forward, AttentionKernel::Flash, cache_type_,
                          problem_.profile, Clocks::Sustained)
        .time.count();
  };
  if (!op.window) return of_keys(keys);
  const double windowed = of_keys(*op.window);
  if (op.window_share >= 1) return windowed;
  return op.window_share * windowed + (1 - op.window_share) * of_keys(keys);
}

double StepPrices::decode_attention(double requests, double keys) {
  if (requests <= 0) return 0;
  return attention_.at(requests, keys, [&](std::int64_t of, std::int64_t seen) {
    return decode_attention_at(of, seen);
  });
}

double StepPrices::seconds_per_pair() const {
  const Operator& op = core_attention();
  const std::int64_t prompt = std::max(1, problem_.workload.prompt);
  const std::int64_t together = std::max<std::int64_t>(1, engine_.max_batched_tokens / prompt);
  AttentionShape shape{together,
                       prompt,
                       prompt,
                       rank_heads(op, attention_split_),
                       rank_kv_heads(op, attention_split_),
                       op.head_dim,
                       op.value_head_dim,
                       true};
  const auto of_keys = [&](std::int64_t seen) {
    AttentionShape cut = shape;
    cut.kv_len = std::min(shape.kv_len, seen);
    return attention_time(cut, AttentionPass::Forward, AttentionKernel::Flash,
                          sixteen_bits(weight_type_), problem_.profile, Clocks::Sustained)
        .time.count();
  };
  double seconds = of_keys(prompt);
  if (op.window) {
    seconds = op.window_share * of_keys(*op.window) + (1 - op.window_share) * seconds;
  }
  const auto length = static_cast<double>(prompt);
  return seconds / (static_cast<double>(together) * length * (length + 1) / 2);
}

PipelineRound pipeline_round(Seconds through, Seconds slowest, int stages, double microbatches) {
  const Seconds period = std::max(through, stages * slowest);
  const Seconds alone = through + (microbatches - 1) * slowest;
  return {period, std::max(Seconds{0}, alone - period)};
}

StepTime StepPrices::time(const Step& step) {
  const double pp = layout_.pp;
  // The requests of one micro-batch; with fewer than stages some stages idle.
  const double decoding = step.decoding > 0 ? std::max(1.0, step.decoding / pp) : 0;
  const double prompt_tokens = step.prompt_tokens / pp;
  const double tokens = decoding + prompt_tokens;
  const double rows = decoding + (step.prompts > 0 ? std::max(step.prompts / pp, 1.0) : 0);
  const double ranks = attention_dp_ ? layout_.tp : 1;

  const auto of_layer = [&](Ladder<Part>& ladder, const OperatorGraph& graph) {
    if (tokens <= 0 || boost::num_vertices(graph) == 0) return Part{};
    return ladder.at(tokens, [&](std::int64_t t) { return layer_part(graph, t); });
  };
  const Part dense = of_layer(dense_, graphs_.dense_layer);
  const Part sparse = of_layer(sparse_, graphs_.sparse_layer);
  const Part head =
      rows > 0 ? head_.at(rows, [&](std::int64_t t) { return head_part(t); }) : Part{};
  const double attention = decode_attention(decoding / ranks, step.cached) +
                           step.prompt_pairs / pp / ranks * pair_seconds_;
  double through = 0;
  double slowest = 0;
  StepTime out;
  double matrices = 0;
  double core = 0;
  double communication = 0;
  for (const Stage& stage : stages_) {
    const int layers = stage.dense + stage.sparse;
    Part sum = stage.dense * dense + stage.sparse * sparse;
    if (stage.head) sum += head;
    const double scores = layers * attention;
    // In step at every layer's all-reduce.
    if (layout_.tp > 1)
      sum.communication += problem_.profile.waiting.layer * (sum.matrices + scores);
    const double whole = sum.matrices + scores + sum.communication;
    through += whole;
    slowest = std::max(slowest, whole);
    matrices += sum.matrices;
    core += scores;
    communication += sum.communication;
  }
  if (layout_.pp > 1) {
    const Bytes boundary{static_cast<std::int64_t>(tokens * problem_.model.hidden) *
                         activation_bytes_};
    const double hops = (pp - 1) * hop_.time(Collective::SendReceive, boundary).count();
    through += hops;
    communication += hops;
  }
  const PipelineRound round =
      pipeline_round(Seconds{through}, Seconds{slowest}, layout_.pp,
                     std::clamp(step.decoding + step.prompt_tokens, 1.0, pp));
  const double device = round.period.count();
  out.fill = round.fill;
  out.matrices = Seconds{matrices};
  out.attention = Seconds{core};
  out.communication = Seconds{communication};
  out.pipeline = Seconds{layout_.pp > 1 ? device - matrices - core - communication : 0};

  const bool reads = step.prompt_tokens > 0;
  const double slower = profiles::old_host(problem_.cluster) ? engine_.ampere_host : 1;
  const Seconds launches =
      problem_.model.layers * slower * (reads ? engine_.prefill_layer : engine_.layer);
  const double computing = device - communication;
  const double together = overlapped(launches.count(), computing, kLaunchOverlap);
  const Seconds exposed{together - computing};
  out.host = exposed + engine_.step;
  out.host += (step.decoding + step.prompts) * (pp - 1) * engine_.pipeline_request;
  if (step.streams) out.host += (step.decoding + step.prompts) * engine_.stream;
  return out;
}

}  // namespace meshplan::planner
