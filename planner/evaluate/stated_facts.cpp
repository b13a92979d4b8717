#include "planner/evaluate/stated_facts.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "planner/layout/legality.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;

std::string lower(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == ' ') continue;
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return out;
}

/// Narrow formats first: "fp8 on a bf16 model" is fp8.
constexpr std::array<std::pair<std::string_view, DataType>, 15> kPrecisions = {{
    {"fp4", DataType::Fp4},
    {"float4", DataType::Fp4},
    {"fp8", DataType::Fp8},
    {"float8", DataType::Fp8},
    {"e4m3", DataType::Fp8},
    {"bf16", DataType::Bf16},
    {"bfloat16", DataType::Bf16},
    {"fp16", DataType::Fp16},
    {"float16", DataType::Fp16},
    {"half", DataType::Fp16},
    {"mixed", DataType::Bf16},
    {"amp", DataType::Bf16},
    {"tf32", DataType::Tf32},
    {"fp32", DataType::Fp32},
    {"float32", DataType::Fp32},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kRecomputeWords = {{
    {"true", "full"},
    {"yes", "full"},
    {"block", "full"},
    {"layer", "full"},
    {"uniform", "full"},
    {"attention", "selective"},
    {"core_attn", "selective"},
    {"op", "selective"},
    {"false", "none"},
    {"no", "none"},
    {"off", "none"},
    {"disabled", "none"},
}};

}  // namespace

std::optional<DataType> precision_named(std::string_view words) {
  const std::string plain = lower(words);
  for (const auto& [name, type] : kPrecisions) {
    if (plain.find(name) != std::string::npos) return type;
  }
  return std::nullopt;
}

std::string plain_layout_text(std::string_view text) {
  std::string out = lower(text);
  constexpr std::string_view kKey = "recompute=";
  const std::size_t at = out.find(kKey);
  if (at == std::string::npos) return out;
  const std::size_t value = at + kKey.size();
  const std::size_t length = std::min(out.find(',', value), out.size()) - value;
  for (const auto& [word, plain] : kRecomputeWords) {
    if (out.compare(value, length, word) == 0) return out.replace(value, length, plain);
  }
  return out;
}

Layout runnable(Layout layout, const Transformer& model, const Workload& workload, int devices,
                std::vector<std::string>& assumed) {
  for (const Violation& broken : violations(layout, model, workload, devices)) {
    switch (broken.rule) {
      case Rule::ShardsByHsdp:
        layout.hsdp = 1;
        assumed.emplace_back("states sharded over all replicas");
        break;
      case Rule::SequenceByCp:
        if (layout.sp && workload.seq_len % (2 * layout.cp) == 0) {
          layout.sp = false;
          assumed.emplace_back("sequences not sharded: tp does not divide them");
        }
        break;
      case Rule::InterleavedBatches:
      case Rule::VppNeedsPipeline:
        layout.vpp = 1;
        layout.schedule = ScheduleKind::OneFOneB;
        assumed.emplace_back("one chunk a stage");
        break;
      default:
        break;
    }
  }
  return layout;
}

}  // namespace meshplan::planner
