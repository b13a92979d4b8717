#include "profiles/data_type.h"

#include <array>
#include <utility>

namespace meshplan::profiles {
namespace {
constexpr std::array<std::pair<std::string_view, DataType>, 6> kNames = {{
    {"fp32", DataType::Fp32},
    {"tf32", DataType::Tf32},
    {"fp16", DataType::Fp16},
    {"bf16", DataType::Bf16},
    {"fp8", DataType::Fp8},
    {"fp4", DataType::Fp4},
}};
constexpr std::array<std::pair<std::string_view, DataType>, 4> kAliases = {{
    {"float32", DataType::Fp32},
    {"float16", DataType::Fp16},
    {"bfloat16", DataType::Bf16},
    {"nvfp4", DataType::Fp4},
}};
}  // namespace

std::string_view name(DataType type) { return kNames[static_cast<std::size_t>(type)].first; }

std::optional<DataType> data_type_from(std::string_view text) {
  for (const auto& [known, type] : kNames) {
    if (known == text) return type;
  }
  for (const auto& [known, type] : kAliases) {
    if (known == text) return type;
  }
  return std::nullopt;
}

int bits(DataType type) {
  switch (type) {
    case DataType::Fp32:
    case DataType::Tf32:
      return 32;
    case DataType::Fp16:
    case DataType::Bf16:
      return 16;
    case DataType::Fp8:
      return 8;
    case DataType::Fp4:
      return 4;
  }
  return 32;
}

Bytes storage(std::int64_t elements, DataType type) { return {(elements * bits(type) + 7) / 8}; }

}  // namespace meshplan::profiles
