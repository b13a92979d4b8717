#include "profiles/device.h"

#include <span>

namespace meshplan::profiles {
namespace {

/// Formats that hold every value of `type`, nearest first.
std::span<const DataType> wider_formats(DataType type) {
  using enum DataType;
  static constexpr std::array kFrom4 = {Fp4, Fp8, Bf16, Fp16, Tf32, Fp32};
  static constexpr std::array kFromBf16 = {Bf16, Tf32, Fp32};
  static constexpr std::array kFromFp16 = {Fp16, Tf32, Fp32};
  const std::span<const DataType> from_4(kFrom4);
  switch (type) {
    case Fp4:
      return from_4;
    case Fp8:
      return from_4.subspan(1);
    case Bf16:
      return kFromBf16;
    case Fp16:
      return kFromFp16;
    case Tf32:
      return from_4.subspan(4);
    case Fp32:
      break;
  }
  return from_4.subspan(5);
}

}  // namespace

FlopsPerSecond Device::peak_at(DataType type) const {
  for (const DataType wider : wider_formats(type)) {
    if (const auto& rate = peak[static_cast<std::size_t>(wider)]) return *rate;
  }
  return {};  // the reader requires fp32, so only a default-constructed device comes here
}

}  // namespace meshplan::profiles
