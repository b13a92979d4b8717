#include "planner/export/megatron_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "planner/export/megatron_layout_string.h"
#include "planner/export/megatron_model.h"
#include "planner/layout/layout_text.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;

/// Flags that this reader understands, model flags aside.
constexpr std::array<std::string_view, 42> kKnown = {
    "--tensor-model-parallel-size",
    "--pipeline-model-parallel-size",
    "--context-parallel-size",
    "--expert-model-parallel-size",
    "--expert-tensor-parallel-size",
    "--sequence-parallel",
    "--use-distributed-optimizer",
    "--num-distributed-optimizer-instances",
    "--use-megatron-fsdp",
    "--use-torch-fsdp2",
    "--torch-fsdp2-no-reshard-after-forward",
    "--data-parallel-sharding-strategy",
    "--micro-batch-size",
    "--global-batch-size",
    "--num-layers-per-virtual-pipeline-stage",
    "--num-virtual-stages-per-pipeline-rank",
    "--pipeline-model-parallel-layout",
    "--decoder-first-pipeline-num-layers",
    "--decoder-last-pipeline-num-layers",
    "--account-for-embedding-in-pipeline-split",
    "--account-for-loss-in-pipeline-split",
    "--microbatch-group-size-per-virtual-pipeline-stage",
    "--recompute-granularity",
    "--recompute-activations",
    "--recompute-method",
    "--recompute-num-layers",
    "--recompute-modules",
    "--overlap-grad-reduce",
    "--overlap-param-gather",
    "--tp-comm-overlap",
    "--cp-comm-type",
    "--use-tp-pp-dp-mapping",
    "--optimizer-cpu-offload",
    "--use-precision-aware-optimizer",
    "--seq-length",
    "--bf16",
    "--fp16",
    "--fp8-format",
    "--optimizer",
    "--use-flash-attn",
    "--attention-backend",
    "--world-size",
};

/// Flags that make the run what it is and that no layout states.
constexpr std::array<std::string_view, 3> kRefused = {
    "--cpu-offloading-num-layers", "--mtp-num-layers", "--hierarchical-context-parallel-sizes"};

class Reader {
 public:
  Reader(const FlagList& flags, int layers, int world, const std::string& where)
      : flags_(flags), layers_(layers), world_(world), where_(where) {}

  MegatronRun read() {
    for (const std::string_view flag : kRefused) {
      if (flags_.has(flag)) refuse("a run that a layout can state", std::string(flag));
    }
    read_degrees();
    read_pipeline();
    read_sharding();
    read_overlap();
    read_recomputation();
    read_workload();
    out_.layout = normalised(out_.layout);
    list_ignored();
    return out_;
  }

 private:
  [[nodiscard]] int number_or(std::string_view name, int otherwise) const {
    return flags_.number(name, where_).value_or(otherwise);
  }
  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const {
    throw InputError(where_, expected, found);
  }
  void require_with(std::string_view flag, std::string_view needed) const {
    if (flags_.has(flag) && !flags_.has(needed)) {
      refuse(fmt::format("{} with {}", needed, flag), "it missing");
    }
  }

  void read_degrees() {
    Layout& l = out_.layout;
    l.tp = number_or("--tensor-model-parallel-size", 1);
    l.pp = number_or("--pipeline-model-parallel-size", 1);
    l.cp = number_or("--context-parallel-size", 1);
    l.ep = number_or("--expert-model-parallel-size", 1);
    l.etp = flags_.number("--expert-tensor-parallel-size", where_);
    l.sp = flags_.has("--sequence-parallel");
    l.mbs = number_or("--micro-batch-size", 1);
    const std::int64_t each = std::int64_t{1} * l.tp * l.pp * l.cp;
    if (world_ % each != 0) {
      refuse(
          fmt::format("a multiple of tensor {} * pipeline {} * context {} ranks", l.tp, l.pp, l.cp),
          fmt::format("{} devices", world_));
    }
    l.dp = static_cast<int>(world_ / each);
    const std::string kind = flags_.value("--cp-comm-type", where_).value_or("p2p");
    if (kind == "p2p") {
      l.cp_kind = ContextKind::Ring;
    } else if (kind == "all_gather") {
      l.cp_kind = ContextKind::AllGather;
    } else if (kind == "a2a") {
      l.cp_kind = ContextKind::Ulysses;
    } else {
      refuse("p2p, all_gather or a2a for --cp-comm-type", "'" + kind + "'");
    }
    if (flags_.has("--use-tp-pp-dp-mapping")) l.order = {Axis::Tp, Axis::Cp, Axis::Pp, Axis::Dp};
  }

  void read_pipeline() {
    Layout& l = out_.layout;
    constexpr std::array<std::string_view, 3> kVirtual = {"--num-layers-per-virtual-pipeline-stage",
                                                          "--num-virtual-stages-per-pipeline-rank",
                                                          "--pipeline-model-parallel-layout"};
    const auto given = std::count_if(kVirtual.begin(), kVirtual.end(),
                                     [&](std::string_view flag) { return flags_.has(flag); });
    if (given > 1) {
      refuse("at most one of " + fmt::format("{}", fmt::join(kVirtual, ", ")),
             std::to_string(given));
    }
    const bool embedding = flags_.has("--account-for-embedding-in-pipeline-split");
    const bool loss = flags_.has("--account-for-loss-in-pipeline-split");
    const auto first = flags_.number("--decoder-first-pipeline-num-layers", where_, 0);
    const auto last = flags_.number("--decoder-last-pipeline-num-layers", where_, 0);
    const auto text = flags_.value("--pipeline-model-parallel-layout", where_);
    if (text && (embedding || loss || first || last)) {
      refuse("--pipeline-model-parallel-layout alone", "other flags that split the layers");
    }
    if ((embedding || loss) && (first || last)) {
      refuse("layers of the first and last stage, or embedding and loss in the split", "both");
    }
    if (text) {
      l.stages = megatron_layout_stages(*text, where_);
      const int stages = static_cast<int>(l.stages.size());
      if (stages % l.pp != 0) {
        refuse(fmt::format("a multiple of {} stages in the layout string", l.pp),
               std::to_string(stages));
      }
      l.vpp = stages / l.pp;
      const int sum = std::accumulate(l.stages.begin(), l.stages.end(), 0);
      if (sum != layers_) {
        refuse(fmt::format("{} layers in the layout string", layers_), std::to_string(sum));
      }
      return;
    }
    const int counted = layers_ + (embedding ? 1 : 0) + (loss ? 1 : 0);
    std::vector<int> by_stage = stage_layers(counted, first, last);
    l.vpp = virtual_stages(by_stage);
    if (embedding || loss || first || last) spread(by_stage, embedding, loss);
    const int group = number_or("--microbatch-group-size-per-virtual-pipeline-stage", l.pp);
    if (l.vpp > 1 && group != l.pp) {
      refuse(fmt::format("micro-batch groups of {}, the pipeline's size", l.pp),
             std::to_string(group));
    }
  }

  /// Layers of each pipeline rank; the embedding and the loss count as one where asked.
  std::vector<int> stage_layers(int counted, std::optional<int> first, std::optional<int> last) {
    const int pp = out_.layout.pp;
    const int middle_stages = pp - (first ? 1 : 0) - (last ? 1 : 0);
    const int middle = counted - first.value_or(0) - last.value_or(0);
    if (middle_stages < 0 || middle < 0 || (middle_stages == 0 && middle != 0) ||
        (middle_stages > 0 && middle % middle_stages != 0)) {
      refuse(fmt::format("{} layers that divide over {} pipeline stages", middle, middle_stages),
             "a remainder");
    }
    std::vector<int> out(static_cast<std::size_t>(pp),
                         middle_stages > 0 ? middle / middle_stages : 0);
    if (first) out.front() = *first;
    if (last) out.back() = *last;
    return out;
  }

  int virtual_stages(const std::vector<int>& by_stage) const {
    int vpp = number_or("--num-virtual-stages-per-pipeline-rank", 1);
    if (const auto each = flags_.number("--num-layers-per-virtual-pipeline-stage", where_)) {
      if (by_stage.front() % *each != 0) {
        refuse(fmt::format("{} layers of a stage that divide into virtual stages of {}",
                           by_stage.front(), *each),
               "a remainder");
      }
      vpp = by_stage.front() / *each;
    }
    for (const int layers : by_stage) {
      if (layers % vpp != 0) {
        refuse(fmt::format("{} layers of a stage that divide into {} virtual stages", layers, vpp),
               "a remainder");
      }
    }
    return vpp;
  }

  /// Layers of each chunk in model order, embedding and loss taken out again.
  void spread(const std::vector<int>& by_stage, bool embedding, bool loss) {
    Layout& l = out_.layout;
    for (int v = 0; v < l.vpp; ++v) {
      for (const int layers : by_stage) l.stages.push_back(layers / l.vpp);
    }
    l.stages.front() -= embedding ? 1 : 0;
    l.stages.back() -= loss ? 1 : 0;
    if (l.stages.front() < 0 || l.stages.back() < 0) {
      refuse("room for embedding and loss in the first and last stage", "less than one layer");
    }
  }

  void read_sharding() {
    Layout& l = out_.layout;
    const bool distributed = flags_.has("--use-distributed-optimizer");
    const bool megatron_fsdp = flags_.has("--use-megatron-fsdp");
    const bool torch_fsdp = flags_.has("--use-torch-fsdp2");
    if (torch_fsdp && (megatron_fsdp || distributed)) {
      refuse("--use-torch-fsdp2 alone",
             megatron_fsdp ? "--use-megatron-fsdp" : "--use-distributed-optimizer");
    }
    l.zero = distributed ? 1 : 0;
    if (torch_fsdp) l.zero = flags_.has("--torch-fsdp2-no-reshard-after-forward") ? 2 : 3;
    const auto strategy = flags_.value("--data-parallel-sharding-strategy", where_);
    if (megatron_fsdp) {
      constexpr std::array<std::string_view, 4> kStrategies = {"no_shard", "optim", "optim_grads",
                                                               "optim_grads_params"};
      const std::string wanted = strategy.value_or("no_shard");
      const auto at = std::find(kStrategies.begin(), kStrategies.end(), wanted);
      if (at == kStrategies.end()) {
        refuse(fmt::format("one of {}", fmt::join(kStrategies, ", ")), "'" + wanted + "'");
      }
      l.zero = static_cast<int>(at - kStrategies.begin());
    } else if (strategy && *strategy != "no_shard") {
      refuse("--use-megatron-fsdp with --data-parallel-sharding-strategy", "it missing");
    }
    l.hsdp = number_or("--num-distributed-optimizer-instances", 1);
    if (l.hsdp > 1 && (l.zero == 0 || l.replicas() % l.hsdp != 0)) {
      refuse(fmt::format("--use-distributed-optimizer and instances that divide {} replicas",
                         l.replicas()),
             std::to_string(l.hsdp));
    }
    if (flags_.has("--optimizer-cpu-offload")) l.offload = Offload::Optimizer;
  }

  void read_overlap() {
    Layout& l = out_.layout;
    const bool grad = flags_.has("--overlap-grad-reduce");
    const bool param = flags_.has("--overlap-param-gather");
    const bool tp = flags_.has("--tp-comm-overlap");
    require_with("--overlap-param-gather", "--overlap-grad-reduce");
    if (param && l.zero == 0)
      refuse("--use-distributed-optimizer with --overlap-param-gather", "it missing");
    if (tp && !l.sp) refuse("--sequence-parallel with --tp-comm-overlap", "it missing");
    l.overlap = tp && l.tp > 1 ? Overlap::GradParamTp
                : param        ? Overlap::GradParam
                : grad         ? Overlap::Grad
                               : Overlap::None;
  }

  void read_recomputation() {
    Layout& l = out_.layout;
    auto granularity = flags_.value("--recompute-granularity", where_);
    if (flags_.has("--recompute-activations")) {
      if (granularity && *granularity != "selective") {
        refuse("--recompute-activations (selective) or another granularity", "both");
      }
      granularity = "selective";
    }
    const auto method = flags_.value("--recompute-method", where_);
    if (!granularity) return;
    if (*granularity == "selective") {
      if (method) refuse("no --recompute-method with selective recomputation", "'" + *method + "'");
      if (const auto* modules = flags_.find("--recompute-modules");
          modules != nullptr && modules->values != std::vector<std::string>{"core_attn"}) {
        refuse("--recompute-modules core_attn, which a layout can state",
               fmt::format("'{}'", fmt::join(modules->values, " ")));
      }
      l.recompute = Recompute::Selective;
    } else if (*granularity == "full") {
      if (!method) refuse("--recompute-method with full recomputation", "it missing");
      const int every = number_or("--recompute-num-layers", 1);
      const int most = (layers_ + l.chunks() - 1) / l.chunks();
      const bool all = *method == "uniform" ? every == 1 : *method == "block" && every >= most;
      if (!all) {
        refuse(
            "full recomputation of every layer (uniform 1, or block of a whole stage), which a "
            "layout can state",
            fmt::format("{} {}", *method, every));
      }
      l.recompute = Recompute::Full;
    } else {
      refuse("full or selective for --recompute-granularity", "'" + *granularity + "'");
    }
  }

  void read_workload() {
    out_.seq_len = flags_.number("--seq-length", where_);
    out_.global_batch = flags_.number("--global-batch-size", where_);
    const bool bf16 = flags_.has("--bf16");
    const bool fp16 = flags_.has("--fp16");
    if (bf16 && fp16) refuse("--bf16 or --fp16", "both");
    using profiles::DataType;
    if (fp16) out_.data_type = DataType::Fp16;
    if (bf16) out_.data_type = DataType::Bf16;
    if (flags_.has("--fp8-format")) out_.data_type = DataType::Fp8;
    if (const auto wanted = flags_.value("--optimizer", where_)) {
      out_.optimizer = optimizer_from(*wanted);
      if (!out_.optimizer) refuse("adam or sgd for --optimizer", "'" + *wanted + "'");
    }
    if (flags_.has("--use-flash-attn")) out_.flash_attention = true;
    if (const auto backend = flags_.value("--attention-backend", where_)) {
      out_.flash_attention = *backend != "unfused" && *backend != "local";
    }
  }

  void list_ignored() {
    for (const FlagList::Flag& flag : flags_.flags) {
      const bool known = std::find(kKnown.begin(), kKnown.end(), flag.name) != kKnown.end() ||
                         is_megatron_model_flag(flag.name);
      if (!known) out_.ignored.push_back(flag.name);
    }
  }

  const FlagList& flags_;
  int layers_;
  int world_;
  const std::string& where_;
  MegatronRun out_;
};

}  // namespace

MegatronRun read_megatron_flags(const FlagList& flags, int layers, int world,
                                const std::string& where) {
  return Reader(flags, layers, world, where).read();
}

}  // namespace meshplan::planner
