#include "planner/layout/legality.h"

#include <fmt/format.h>

#include <array>
#include <numeric>

namespace meshplan::planner {
namespace {

constexpr std::array<std::string_view, kRules> kRuleNames = {"devices",
                                                             "heads_by_tp",
                                                             "kv_heads_by_tp",
                                                             "hidden_by_tp",
                                                             "batch_by_microbatch",
                                                             "sequence_by_cp",
                                                             "layers_by_stages",
                                                             "stages_sum",
                                                             "vpp_needs_pipeline",
                                                             "interleaved_batches",
                                                             "schedule_needs_pipeline",
                                                             "experts_by_ep",
                                                             "shards_by_hsdp",
                                                             "workload_kind"};

/// Calls `broken(rule, words)` for every rule that is broken; `words` makes the text, so that the
/// fast path pays for none. Stops when `broken` returns true.
template <typename Broken>
void judge(const Layout& l, const Transformer& model, const Workload& workload, int devices,
           Broken&& broken) {
  const auto breaks = [&](bool is_broken, Rule rule, auto&& words) {
    return is_broken && broken(rule, words);
  };
  const std::int64_t wanted = std::int64_t{1} * l.tp * l.pp * l.dp * l.cp;
  if (breaks(wanted > devices, Rule::Devices,
             [&] { return fmt::format("{} devices are needed, {} are there", wanted, devices); })) {
    return;
  }
  if (breaks(model.heads % l.tp != 0, Rule::HeadsByTp, [&] {
        return fmt::format("{} heads are not divisible by tp {}", model.heads, l.tp);
      })) {
    return;
  }
  const bool ulysses = l.cp > 1 && l.cp_kind == ContextKind::Ulysses;
  if (breaks(ulysses && model.heads % (l.tp * l.cp) != 0, Rule::HeadsByTp, [&] {
        return fmt::format("{} heads are not divisible by tp {} * cp {}, as ulysses needs",
                           model.heads, l.tp, l.cp);
      })) {
    return;
  }
  const bool kv_fits = model.kv_heads % l.tp == 0 || l.tp % model.kv_heads == 0;
  if (breaks(!kv_fits, Rule::KvHeadsByTp, [&] {
        return fmt::format("{} kv heads and tp {}: neither divides the other", model.kv_heads,
                           l.tp);
      })) {
    return;
  }
  const int shared = model.experts ? model.experts->shared_width : 0;
  const bool cuts_dense = model.hidden % l.tp == 0 && model.ffn % l.tp == 0 && shared % l.tp == 0;
  const bool cuts_experts = !model.experts || model.experts->width % l.expert_tp() == 0;
  if (breaks(!cuts_dense || !cuts_experts, Rule::HiddenByTp, [&] {
        if (model.hidden % l.tp != 0) {
          return fmt::format("hidden {} is not divisible by tp {}", model.hidden, l.tp);
        }
        if (!cuts_dense) {
          return fmt::format("ffn {} is not divisible by tp {}",
                             model.ffn % l.tp != 0 ? model.ffn : shared, l.tp);
        }
        return fmt::format("experts of width {} are not divisible by etp {}", model.experts->width,
                           l.expert_tp());
      })) {
    return;
  }
  if (workload.kind == Workload::Kind::Training) {
    const std::int64_t at_once = std::int64_t{1} * l.dp * l.mbs;
    if (breaks(workload.global_batch % at_once != 0, Rule::BatchByMicrobatch, [&] {
          return fmt::format("global batch {} is not divisible by dp {} * mbs {}",
                             workload.global_batch, l.dp, l.mbs);
        })) {
      return;
    }
    const int seq = workload.seq_len;
    const bool cuts = l.cp == 1 || seq % (2 * l.cp) == 0;
    const bool sp_cuts = !l.sp || (seq / l.cp) % l.tp == 0;
    if (breaks(!cuts || !sp_cuts, Rule::SequenceByCp, [&] {
          return cuts ? fmt::format("sequence {} / cp {} is not divisible by tp {}, as sp needs",
                                    seq, l.cp, l.tp)
                      : fmt::format("sequence {} is not divisible by 2 * cp {}", seq, l.cp);
        })) {
      return;
    }
  }
  const int chunks = l.chunks();
  // The embedding and the head may stand alone at the two ends.
  if (breaks(l.stages.empty() && chunks > model.layers + (chunks > 1 ? 2 : 0), Rule::LayersByStages,
             [&] {
               return fmt::format("{} layers are fewer than pp {} * {} chunks", model.layers, l.pp,
                                  l.chunks_per_stage());
             })) {
    return;
  }
  if (!l.stages.empty()) {
    const std::int64_t sum = std::accumulate(l.stages.begin(), l.stages.end(), std::int64_t{0});
    const bool fits = static_cast<int>(l.stages.size()) == chunks && sum == model.layers;
    if (breaks(!fits, Rule::StagesSum, [&] {
          return fmt::format("stages has {} entries with {} layers; {} entries with {} are needed",
                             l.stages.size(), sum, chunks, model.layers);
        })) {
      return;
    }
  }
  const bool chunked = l.schedule == ScheduleKind::Interleaved;
  if (breaks(l.vpp > 1 && (l.pp == 1 || !chunked), Rule::VppNeedsPipeline, [&] {
        return l.pp == 1 ? fmt::format("vpp {} needs pp of at least 2", l.vpp)
                         : fmt::format("vpp {} needs schedule=interleaved", l.vpp);
      })) {
    return;
  }
  if (breaks(l.pp == 1 && l.schedule != ScheduleKind::OneFOneB &&
                 l.schedule != ScheduleKind::Interleaved,
             Rule::ScheduleNeedsPipeline,
             [] { return std::string("this schedule needs pp of at least 2"); })) {
    return;
  }
  if (workload.kind == Workload::Kind::Training && chunked && l.vpp > 1) {
    const std::int64_t at_once = std::int64_t{1} * l.dp * l.mbs;
    const std::int64_t count = workload.global_batch / at_once;
    if (breaks(count % l.pp != 0, Rule::InterleavedBatches, [&] {
          return fmt::format("{} micro-batches are not divisible by pp {}, as interleaving needs",
                             count, l.pp);
        })) {
      return;
    }
  }
  const int etp = l.expert_tp();
  const bool ep_fits =
      l.ep == 1 && etp == l.tp
          ? true
          : model.experts && model.experts->count % l.ep == 0 &&
                (std::int64_t{1} * l.dp * l.cp * l.tp) % (std::int64_t{1} * etp * l.ep) == 0;
  if (breaks(!ep_fits, Rule::ExpertsByEp, [&] {
        if (!model.experts) return std::string("ep and etp need a model with experts");
        return fmt::format("{} experts over ep {}, and ep * etp {} over dp * cp * tp {}",
                           model.experts->count, l.ep, l.ep * etp, l.dp * l.cp * l.tp);
      })) {
    return;
  }
  if (breaks(l.hsdp != 1 && (l.replicas() % l.hsdp != 0 || l.zero == 0), Rule::ShardsByHsdp, [&] {
        return fmt::format("hsdp {} must divide dp * cp {} and needs a ZeRO stage", l.hsdp,
                           l.replicas());
      })) {
    return;
  }
  const bool inference = workload.kind == Workload::Kind::Inference;
  breaks(inference && (l.zero != 0 || l.recompute != Recompute::None || l.vpp != 1),
         Rule::WorkloadKind,
         [] { return std::string("zero, recompute and vpp are for training only"); });
}

}  // namespace

std::string_view name(Rule rule) { return kRuleNames[static_cast<std::size_t>(rule)]; }

std::optional<Rule> broken_rule(const Layout& layout, const Transformer& model,
                                const Workload& workload, int devices) {
  std::optional<Rule> first;
  judge(layout, model, workload, devices, [&](Rule rule, const auto&) {
    first = rule;
    return true;
  });
  return first;
}

std::vector<Violation> violations(const Layout& layout, const Transformer& model,
                                  const Workload& workload, int devices) {
  std::vector<Violation> out;
  judge(layout, model, workload, devices, [&](Rule rule, const auto& words) {
    out.push_back({rule, words()});
    return false;
  });
  return out;
}

int microbatches(const Layout& layout, const Workload& workload) {
  return static_cast<int>(workload.global_batch / (std::int64_t{1} * layout.dp * layout.mbs));
}

}  // namespace meshplan::planner
