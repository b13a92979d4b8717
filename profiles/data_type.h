#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "profiles/units.h"

namespace meshplan::profiles {

/// Number formats of weights, activations and matrix products.
enum class DataType : std::uint8_t { Fp32, Tf32, Fp16, Bf16, Fp8, Fp4 };

/// "fp32", "tf32", "fp16", "bf16", "fp8", "fp4"
std::string_view name(DataType type);
/// Accepts name(type), and "nvfp4" for fp4, "float16", "bfloat16", "float32"; none if unknown.
std::optional<DataType> data_type_from(std::string_view text);
/// Storage of one element in bits (fp4: 4).
int bits(DataType type);
/// Storage of `elements` elements, rounded up to whole bytes.
Bytes storage(std::int64_t elements, DataType type);

}  // namespace meshplan::profiles
