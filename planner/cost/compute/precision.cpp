#include "planner/cost/compute/precision.h"

namespace meshplan::planner {
namespace {

/// Narrow formats feed tensor cores twice or four times as fast from the same shared memory and
/// under the same power cap, and carry scales: they reach less of their peak than bf16 of its own.
/// Fitted on recorded training runs (docs/accuracy.md); casting operands is not in it.
double relative_efficiency(profiles::DataType type) {
  switch (type) {
    case profiles::DataType::Fp8:
      return 0.95;
    case profiles::DataType::Fp4:
      return 0.80;
    case profiles::DataType::Fp32:
    case profiles::DataType::Tf32:
    case profiles::DataType::Fp16:
    case profiles::DataType::Bf16:
      break;
  }
  return 1.0;
}

}  // namespace

Precision precision_of(profiles::DataType type, const profiles::DeviceProfile& profile) {
  const double bytes = profiles::bits(type) / 8.0;
  return {profile.device.peak_at(type), relative_efficiency(type), bytes, bytes < 2 ? 2.0 : bytes};
}

}  // namespace meshplan::planner
