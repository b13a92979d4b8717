#include "planner/evaluate/runs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "planner/evaluate/pipeline_blocks.h"
#include "planner/evaluate/stated_facts.h"
#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "planner/software.h"
#include "profiles/cluster_json.h"
#include "profiles/device_profile.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::DataFiles;
using profiles::InputError;
using profiles::JsonNode;

/// Words of sources that tell which software ran.
constexpr std::string_view kZeroBubblePaper = "Zero Bubble P", kMegatronPaper2021 = "Narayanan",
                           kVTrain = "vTrain";
constexpr const char* kZeroBubble = "zero-bubble";
constexpr const char* kNanotronBefore = "nanotron-before-pp-fix";

/// Models and profiles that many runs share are read once.
class Reader {
 public:
  Reader(const JsonNode& document, const DataFiles& files) : files_(files) {
    if (const auto clusters = document.find_value("clusters")) {
      clusters_ = profiles::read_cluster_table(*clusters, files);
    }
    if (const auto models = document.find_value("models")) {
      for (const auto& [name, config] : models->members()) models_.emplace(name, config);
    }
  }

  RecordedRun run(const JsonNode& node) {
    RecordedRun out;
    out.id = node.at("id").string();
    if (const auto source = node.find_value("source")) out.source = source->string();
    out.model_name = node.at("model").string();
    out.cluster_name = node.at("cluster").string();
    out.layout_text = node.at("layout").string();
    read_measured(node.at("measured"), out);
    try {
      read_problem(node, out);
    } catch (const InputError& error) {
      out.refusal = error.what();
    }
    return out;
  }

 private:
  static void read_measured(const JsonNode& node, RecordedRun& out) {
    const auto real = [&](std::string_view key) -> std::optional<double> {
      if (const auto value = node.find_value(key)) return value->positive_number();
      return std::nullopt;
    };
    if (const auto outcome = node.find_value("outcome")) {
      const std::string text = outcome->string();
      out.failed =
          text == "failed" || text == "oom" || text == "out_of_memory" || text == "crashed";
    }
    if (const auto step = real("step_seconds")) out.step = profiles::Seconds{*step};
    if (const auto peak = real("peak_memory_bytes")) {
      out.peak_memory = profiles::Bytes{static_cast<std::int64_t>(*peak)};
    }
    if (const auto kind = node.find_value("memory_kind")) {
      const std::string text = kind->string();
      if (text == "allocated") out.memory_kind = MemoryKind::Allocated;
      if (text == "reserved") out.memory_kind = MemoryKind::Reserved;
    }
    out.ttft_seconds = real("ttft_seconds");
    out.tpot_seconds = real("tpot_seconds");
    out.tokens_per_second = real("tokens_per_second");
  }

  const Transformer& model(const std::string& name) {
    const auto [at, fresh] = read_models_.try_emplace(name);
    if (fresh) {
      const auto own = models_.find(name);
      try {
        at->second =
            own != models_.end() ? read_config(own->second, name) : load_model(name, files_);
      } catch (...) {
        read_models_.erase(at);
        throw;
      }
    }
    return at->second;
  }

  const profiles::DeviceProfile& profile(const profiles::Device& device) {
    const auto [at, fresh] = profiles_.try_emplace(device.id);
    if (fresh) at->second = profiles::load_profile(device, files_);
    return at->second;
  }

  void read_problem(const JsonNode& node, RecordedRun& out) {
    Problem& problem = out.problem;
    problem.model = model(out.model_name);
    problem.cluster = profiles::load_cluster(out.cluster_name, files_, clusters_);
    problem.profile = profile(problem.cluster.device);
    const JsonNode workload = node.at("workload");
    read_workload(workload, problem, out.assumed);
    if (out.source.starts_with(kVTrain)) {
      // Its ground truth names no precision. The tool that it was measured for takes float16 and
      // gradients of two bytes. Source: VIA-Research/vTrain, src/predictor.py.
      problem.workload.data_type = profiles::DataType::Fp16;
      out.assumed.emplace_back("fp16: the precision that vTrain models");
    }
    std::string framework;
    std::string engine;
    std::optional<bool> overlap_grad;
    std::optional<bool> compiled;
    std::optional<bool> flash2;
    if (const auto options = node.find_value("options")) {
      if (const auto name = options->find_value("framework")) framework = name->string();
      if (const auto name = options->find_value("engine")) engine = name->string();
      if (const auto version = options->find_value("engine_version")) {
        out.engine_version = version->string();
      }
      if (const auto flash = options->find_value("flash_attention")) {
        problem.flash_attention = flash->boolean();
      }
      if (const auto version = options->find_value("flash_attention_version")) {
        const int generation = version->count();
        if (generation != 2 && generation != 3) version->refuse("2 or 3");
        flash2 = generation == 2;
      }
      if (const auto fused = options->find_value("compiled")) compiled = fused->boolean();
      if (const auto overlap = options->find_value("overlap_grad_reduce")) {
        overlap_grad = overlap->boolean();
      }
      if (const auto unknown = options->find_value("unknown")) {
        for (const JsonNode& what : unknown->elements()) {
          if (what.string() == "recompute") out.recompute_unknown = true;
        }
      }
      if (const auto sync = options->find_value("optimizer_sync")) {
        problem.global_sync = sync->string() != "post_validated";
      }
    }
    // No fused attention kernel runs on Volta.
    if (!problem.flash_attention && problem.cluster.device.compute_capability == 70) {
      problem.flash_attention = false;
    }
    const LayoutText text = read_layout_text(plain_layout_text(out.layout_text), "layout");
    Layout layout = text.layout;
    if (problem.workload.kind == Workload::Kind::Training) {
      complete(layout, text, workload, out.failed, problem, out.assumed);
      if (!out.step) out.step = step_by_throughput(node.at("measured"), problem);
    }
    problem.framework =
        problem.workload.kind == Workload::Kind::Training
            ? habits(version_of(framework, out, layout), problem, layout, out.assumed)
            : software_of(framework, problem, files_);
    if (framework == "nanotron") {
      const double before = before_pp_fix(out, layout);
      if (before > 0 && before < 1) {
        out.other_version = {software_of(kNanotronBefore, problem, files_), before};
        out.assumed.push_back(std::string(kNanotronBefore) + ", or since: not stated");
      }
    }
    if (compiled) {
      problem.framework = profiles::with_operators(problem.framework, *compiled, files_);
    }
    problem.framework.flash2 = flash2.value_or(problem.framework.flash2);
    if (problem.framework.name == kZeroBubble) problem.model.tied_embeddings = false;
    if (problem.workload.kind == Workload::Kind::Inference) {
      out.engine = profiles::load_engine(habits_of(engine, out.engine_version), files_);
      out.engine_known = out.engine.known && !engine.empty();
    }
    out.framework_known = problem.framework.known && !framework.empty();
    const auto kind = node.at("measured").find_value("memory_kind");
    const bool stated = kind && kind->string() != "unstated";
    if (!stated) out.memory_kind = problem.framework.reports;
    if (problem.framework.cuts_stages_by_cost && !text.has("stages") && layout.pp > 1 &&
        layout.vpp == 1 && layout.pp <= problem.model.layers) {
      layout.stages = blocks_by_cost(problem.model, layout.pp).layers;
      out.starts = starts_by_blocks(problem.model, layout, problem.workload);
    }
    if (!text.has("etp")) layout.etp = usual_expert_tp(problem, layout);
    if (!text.has("overlap"))
      layout.overlap = usual_overlap(problem.framework, overlap_grad, layout);
    out.layout = layout;
  }

  /// The step of a training run whose source states tokens a second, of all devices or of each.
  static std::optional<profiles::Seconds> step_by_throughput(const JsonNode& measured,
                                                             const Problem& problem) {
    double rate = 0;
    if (const auto all = measured.find_value("tokens_per_second")) {
      rate = all->positive_number();
    } else if (const auto each = measured.find_value("tokens_per_second_per_device")) {
      rate = each->positive_number() * problem.cluster.devices();
    } else {
      return std::nullopt;
    }
    return profiles::Seconds{1.0 * problem.workload.global_batch * problem.workload.seq_len / rate};
  }

  /// Degrees that the text leaves out, a batch that the source states in tokens or micro-batches,
  /// or that the replicas do not divide.
  static void complete(Layout& layout, const LayoutText& text, const JsonNode& workload,
                       bool failed, Problem& problem, std::vector<std::string>& assumed) {
    const std::int64_t others = std::int64_t{1} * layout.tp * layout.pp * layout.cp;
    const std::int64_t devices = problem.cluster.devices();
    if (!text.has("dp") && devices % others == 0) {
      layout.dp = static_cast<int>(devices / others);
      if (layout.dp > 1) assumed.push_back("dp" + std::to_string(layout.dp) + ": what is left");
    }
    if (!text.has("mbs")) assumed.emplace_back("mbs1");
    const std::int64_t at_once = std::int64_t{1} * layout.dp * layout.mbs;
    int& batch = problem.workload.global_batch;
    const auto whole = [&](double sequences) {
      return static_cast<int>(
          at_once *
          std::max<std::int64_t>(1, std::llround(sequences / static_cast<double>(at_once))));
    };
    if (const auto tokens = workload.find_value("global_batch_tokens")) {
      batch = whole(tokens->positive_number() / problem.workload.seq_len);
    } else if (const auto rounds = workload.find_value("gradient_accumulation")) {
      const std::int64_t sequences = at_once * rounds->count();
      if (sequences > std::numeric_limits<int>::max()) rounds->refuse("fewer micro-batches");
      batch = static_cast<int>(sequences);
    } else if (!failed && batch % at_once != 0) {
      batch = whole(batch);
      assumed.push_back(std::to_string(batch) + " sequences: dp x mbs divides them");
    }
    // What did not run may have failed for the very rule that it breaks.
    if (failed) return;
    layout = runnable(layout, problem.model, problem.workload, problem.cluster.devices(), assumed);
  }

  /// The habits of `framework`. Software that nobody described is taken for its kind: what shards
  /// gradients is PyTorch's FSDP or works like it, the rest is generic.
  profiles::Framework habits(const std::string& framework, const Problem& problem,
                             const Layout& layout, std::vector<std::string>& assumed) const {
    profiles::Framework out = software_of(framework, problem, files_);
    if (out.known && !framework.empty()) return out;
    const std::string name = out.name;
    const char* const kind = layout.zero >= 2 ? "fsdp" : "unknown";
    assumed.push_back(std::string("habits of '") + kind + "' for " +
                      (framework.empty() ? "unnamed software" : "'" + framework + "'"));
    out = software_of(kind, problem, files_);
    out.name = name;
    out.known = false;
    return out;
  }

  /// The release in the id of a row of Megatron-Bridge, year and month: "26.04.01" of
  /// "bridge-149-26.04.01-LLAMA3.1_405B". Empty for any other id.
  static std::string_view bridge_release(std::string_view id) {
    if (!id.starts_with("bridge-")) return {};
    while (!id.empty()) {
      const std::string_view part = id.substr(0, id.find('-'));
      const bool release = part.size() >= 5 && part[2] == '.' &&
                           part.find_first_not_of("0123456789.") == std::string_view::npos;
      if (release) return part;
      id.remove_prefix(std::min(id.size(), part.size() + 1));
    }
    return {};
  }

  /// Which software ran where a source names a family of it. The paper of SC21 stands before the
  /// fused accumulation of gradients, that of 2022 after it.
  ///
  /// The paper on zero-bubble schedules ran a fork of Megatron-LM, whose script unties embeddings.
  /// Source: sail-sg/zero-bubble-pipeline-parallelism, examples/pretrain_zero_bubble.sh.
  ///
  /// Rows of Megatron-Bridge carry the release of their container: bridge_release.
  static std::string version_of(const std::string& framework, const RecordedRun& run,
                                const Layout& layout) {
    if (framework == "megatron") {
      const auto names = [&](std::string_view paper) {
        return run.source.find(paper) != std::string::npos;
      };
      if (names(kZeroBubblePaper)) return kZeroBubble;
      return names(kMegatronPaper2021) ? "megatron-2021" : framework;
    }
    if (framework == "nemo") return bridge_release(run.id) >= "26.06" ? "nemo-26.06" : framework;
    if (framework != "nanotron") return framework;
    return before_pp_fix(run, layout) == 1 ? kNanotronBefore : framework;
  }

  /// How likely a run of nanotron's sweep is of the software before a fault of its pipeline was
  /// mended. The sweep's table says which runs came "after_pp_fix", the recorded rows do not; those
  /// before wait 0.29 s at each transfer. Its script repeats only what has stages, and notes of
  /// ZeRO: "0 if dp>=32 and model<80". Source: huggingface/nanotron, scripts/scaling_benchmarks.py.
  ///
  /// Shares of timed rows that wait, on the fitted half: 109 of 111 on more than 32 nodes or with
  /// tensor groups of more than two nodes; of what the note leaves out, 1 of 3 without ZeRO and
  /// 9 of 11 with ZeRO-1 on 32 nodes; 18 of 185 of all others.
  static double before_pp_fix(const RecordedRun& run, const Layout& layout) {
    const int nodes = run.problem.cluster.nodes;
    if (layout.pp == 1 || nodes == 1) return 0;
    if (nodes > 32 || layout.tp > 16) return 1;
    const bool few_replicas = layout.dp < 32;
    if (layout.zero == 0 && layout.dp > 1 && few_replicas) return 1.0 / 3;
    if (layout.zero == 1 && !few_replicas && nodes == 32) return 9.0 / 11;
    return 0;
  }

  /// Recipes that do not state the tensor degree of experts use 1 where theirs cannot be tp.
  static std::optional<int> usual_expert_tp(const Problem& problem, const Layout& layout) {
    if (!problem.model.experts || layout.tp == 1 || layout.ep == 1) return std::nullopt;
    const std::int64_t ranks = std::int64_t{1} * layout.dp * layout.cp * layout.tp;
    if (ranks % (std::int64_t{1} * layout.ep * layout.tp) == 0) return std::nullopt;
    return 1;
  }

  /// What runs beside compute when the layout text does not say.
  static Overlap usual_overlap(const profiles::Framework& framework,
                               std::optional<bool> overlap_grad, const Layout& layout) {
    const bool usual = framework.overlap_grad || (framework.overlap_whole_grad && layout.zero == 0);
    if (!overlap_grad.value_or(usual)) return Overlap::None;
    if (framework.overlap_tp && layout.tp > 1 && layout.sp) return Overlap::GradParamTp;
    return framework.overlap_param ? Overlap::GradParam : Overlap::Grad;
  }

  static void read_workload(const JsonNode& node, Problem& problem,
                            std::vector<std::string>& assumed) {
    Workload& out = problem.workload;
    read_precision(node, problem, assumed);
    const auto kind = node.find_value("kind");
    const std::string text = kind ? kind->string() : "training";
    if (text == "training" || text == "pretraining" || text == "finetuning") {
      if (const auto length = node.find_value("seq_len")) {
        out.seq_len = length->count();
      } else {
        out.seq_len = problem.model.max_positions;
        assumed.push_back("sequences of " + std::to_string(out.seq_len) + ": the model's longest");
      }
      // In tokens or micro-batches: turned into sequences once the layout is known.
      if (!node.find_value("global_batch_tokens") && !node.find_value("gradient_accumulation")) {
        out.global_batch = node.at("global_batch").count();
      }
    } else if (text == "inference") {
      out.kind = Workload::Kind::Inference;
      out.prompt = node.at("prompt").count();
      out.output = node.at("output").count();
      if (const auto batch = node.find_value("batch")) out.batch = batch->count();
      const auto users = node.find_value("concurrency");
      if (users && users->is_number()) out.concurrency = users->count();
    } else {
      node.at("kind").refuse("training or inference");
    }
  }

  static void read_precision(const JsonNode& node, Problem& problem,
                             std::vector<std::string>& assumed) {
    using profiles::DataType;
    const profiles::Device& device = problem.cluster.device;
    const auto has = [&](DataType type) {
      return device.peak[static_cast<std::size_t>(type)].has_value();
    };
    const auto stated = node.find_value("dtype");
    DataType type = DataType::Bf16;
    if (stated) {
      const std::string text = stated->string();
      const auto known = profiles::data_type_from(text);
      const auto named = known ? known : precision_named(text);
      if (!named) stated->refuse("one of fp32, tf32, fp16, bf16, fp8, fp4");
      type = *named;
    }
    // A run ran: what its device lacks was done in the next wider format.
    const DataType wanted = type;
    for (const DataType wider : {DataType::Fp8, DataType::Bf16, DataType::Fp16}) {
      if (!has(type) && profiles::bits(wider) >= profiles::bits(type)) type = wider;
    }
    const std::string name(profiles::name(type));
    if (!stated) assumed.push_back(name + ": no precision is stated");
    if (stated && type != wanted) {
      assumed.push_back(name + ": " + device.id + " has no " + std::string(profiles::name(wanted)));
    }
    problem.workload.data_type = type;
  }

  /// TensorRT-LLM ran engines built ahead, from C++, up to 0.18; since 0.19 it runs PyTorch.
  /// Source: its performance overview, "Reproducing Benchmarked Results".
  static std::string habits_of(const std::string& engine, std::string_view version) {
    if (version.starts_with('v')) version.remove_prefix(1);
    if (engine != "tensorrt-llm" || !version.starts_with("0.")) return engine;
    version.remove_prefix(2);
    int minor = 0;
    std::from_chars(version.data(), version.data() + version.size(), minor);
    return minor < 19 ? "tensorrt-llm-cpp" : engine;
  }

  const DataFiles& files_;
  profiles::ClusterTable clusters_;
  std::map<std::string, JsonNode> models_;
  std::map<std::string, Transformer> read_models_;
  std::map<std::string, profiles::DeviceProfile> profiles_;
};

}  // namespace

std::string RecordedRun::group() const {
  const Workload& w = problem.workload;
  std::string out = model_name + " on " + cluster_name + ", ";
  if (w.kind == Workload::Kind::Training) {
    return out + std::to_string(w.global_batch) + " x " + std::to_string(w.seq_len) + " " +
           std::string(profiles::name(w.data_type));
  }
  return out + std::to_string(w.prompt) + "/" + std::to_string(w.output) + " " +
         std::string(profiles::name(w.data_type));
}

std::vector<RecordedRun> read_runs(const JsonNode& document, const DataFiles& files) {
  document.require_schema("runs");
  Reader reader(document, files);
  std::vector<RecordedRun> out;
  for (const JsonNode& node : document.at("runs").elements()) out.push_back(reader.run(node));
  return out;
}

}  // namespace meshplan::planner
