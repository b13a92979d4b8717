#include "planner/explain/failures.h"

#include <fmt/format.h>

#include <numeric>

#include "profiles/number_format.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::human;

Failure out_of_memory(const Problem& problem, const std::vector<StageMemory>& memory) {
  const Bytes peak = peak_bytes(memory);
  const Bytes limit = problem.memory_limit();
  std::size_t fullest = 0;
  while (memory[fullest].device() < peak) ++fullest;
  return {kOutOfMemory,
          fmt::format("stage {} needs {} of the {} that a device has{}", fullest, human(peak),
                      human(limit), problem.memory_margin > 0 ? " within the margin" : ""),
          peak.count,
          fmt::format("at most {}", human(limit)),
          (peak - limit).count,
          "bytes too many"};
}

}  // namespace

Failure failure_of(const Violation& violation, const Layout& l, const Problem& problem) {
  const Transformer& model = problem.model;
  const Workload& workload = problem.workload;
  Failure out{std::string(name(violation.rule)), violation.what, 0, "", 0, ""};
  const auto state = [&](std::int64_t found, std::string needed, std::int64_t missing,
                         std::string unit) {
    out.found = found;
    out.needed = std::move(needed);
    out.missing = missing;
    out.unit = std::move(unit);
  };
  /// `parts` must divide `whole`.
  const auto divides = [&](std::int64_t parts, std::int64_t whole, const std::string& of) {
    state(parts, fmt::format("a divisor of {}", whole), whole % parts, of + " left over");
  };
  const std::int64_t at_once = std::int64_t{1} * l.dp * l.mbs;
  switch (violation.rule) {
    case Rule::Devices: {
      const std::int64_t wanted = std::int64_t{1} * l.tp * l.pp * l.dp * l.cp;
      const int devices = problem.cluster.devices();
      state(wanted, fmt::format("at most {}", devices), wanted - devices, "devices too many");
      break;
    }
    case Rule::HeadsByTp:
      divides(l.tp, model.heads, "heads");
      break;
    case Rule::KvHeadsByTp:
      state(l.tp, fmt::format("a divisor or a multiple of {}", model.kv_heads),
            model.kv_heads > l.tp ? model.kv_heads % l.tp : l.tp % model.kv_heads,
            "kv heads left over");
      break;
    case Rule::HiddenByTp:
      if (model.hidden % l.tp != 0) {
        divides(l.tp, model.hidden, "hidden units");
      } else if (model.ffn % l.tp != 0) {
        divides(l.tp, model.ffn, "units of the MLP");
      } else if (model.experts && model.experts->shared_width % l.tp != 0) {
        divides(l.tp, model.experts->shared_width, "units of the shared expert");
      } else if (model.experts) {
        divides(l.expert_tp(), model.experts->width, "units of an expert");
      }
      break;
    case Rule::BatchByMicrobatch:
      divides(at_once, workload.global_batch, "sequences");
      break;
    case Rule::SequenceByCp:
      if (l.cp > 1 && workload.seq_len % (2 * l.cp) != 0) {
        divides(2 * l.cp, workload.seq_len, "tokens");
      } else {
        divides(l.tp, workload.seq_len / l.cp, "tokens");
      }
      break;
    case Rule::LayersByStages: {
      const int most = model.layers + (l.chunks() > 1 ? 2 : 0);
      state(l.chunks(), fmt::format("at most {} (embedding and head may stand alone)", most),
            l.chunks() - most, "chunks too many");
      break;
    }
    case Rule::StagesSum: {
      const auto entries = static_cast<std::int64_t>(l.stages.size());
      const std::int64_t sum = std::accumulate(l.stages.begin(), l.stages.end(), std::int64_t{0});
      if (entries != l.chunks()) {
        state(entries, fmt::format("{} entries", l.chunks()), std::abs(entries - l.chunks()),
              entries > l.chunks() ? "entries too many" : "entries missing");
      } else {
        state(sum, fmt::format("{} layers in all", model.layers), std::abs(sum - model.layers),
              sum > model.layers ? "layers too many" : "layers missing");
      }
      break;
    }
    case Rule::VppNeedsPipeline:
      if (l.pp == 1) {
        state(l.pp, "pp of at least 2", 2 - l.pp, "stages missing");
      } else {
        state(l.vpp, "vpp 1 or schedule=interleaved", l.vpp - 1, "chunks a stage too many");
      }
      break;
    case Rule::InterleavedBatches:
      state(workload.global_batch / at_once, fmt::format("a multiple of {}", l.pp),
            workload.global_batch / at_once % l.pp, "micro-batches left over");
      break;
    case Rule::ScheduleNeedsPipeline:
      state(l.pp, "pp of at least 2", 2 - l.pp, "stages missing");
      break;
    case Rule::ExpertsByEp: {
      if (!model.experts) {
        state(l.ep, "1: the model has no experts", l.ep - 1, "ranks too many");
        break;
      }
      const std::int64_t ranks = std::int64_t{1} * l.dp * l.cp * l.tp;
      if (model.experts->count % l.ep != 0) {
        divides(l.ep, model.experts->count, "experts");
      } else {
        divides(std::int64_t{1} * l.ep * l.expert_tp(), ranks, "ranks");
      }
      break;
    }
    case Rule::ShardsByHsdp:
      if (l.zero == 0) {
        state(l.zero, "a ZeRO stage of at least 1", 1, "stages missing");
      } else {
        divides(l.hsdp, l.replicas(), "replicas");
      }
      break;
    default:
      break;  // no matter of degree: the sentence says it
  }
  return out;
}

std::vector<Failure> failures(const Layout& layout, const Problem& problem,
                              const std::vector<StageMemory>& memory) {
  std::vector<Failure> out;
  for (const Violation& violation :
       violations(layout, problem.model, problem.workload, problem.cluster.devices())) {
    out.push_back(failure_of(violation, layout, problem));
  }
  if (out.empty() && peak_bytes(memory) > problem.memory_limit()) {
    out.push_back(out_of_memory(problem, memory));
  }
  return out;
}

}  // namespace meshplan::planner
