#pragma once
#include <functional>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "profiles/units.h"
#include "runtime/device/engine.h"

namespace meshplan::runtime {

/// C[m,n] = A[m,k] B[k,n] in bf16.
struct GpuGemmTime {
  std::int64_t m = 1, n = 1, k = 1;
  profiles::Seconds time{0};
};

/// Attention of bf16; backward 0 where only forward was measured (decoding).
struct GpuAttentionTime {
  kernels::AttentionShape shape;
  profiles::Seconds forward{0}, backward{0};
};

/// An operation that memory bounds.
struct GpuElementwiseTime {
  std::string operation;
  profiles::Bytes moved;
  profiles::Seconds time{0};
};

struct GpuCollectiveTime {
  std::string operation;  ///< "all_reduce", ...
  int ranks = 2;
  profiles::Bytes size;
  profiles::Seconds time{0};
  std::optional<profiles::Seconds> estimated;  ///< by NCCL itself
};

/// What was measured on one device. Each time is the median of several rounds after a warm-up, of
/// operands that no cache holds.
struct GpuTables {
  DeviceFacts facts;
  std::string engine;
  DeviceState before, after;  ///< of the measurement
  std::vector<GpuGemmTime> gemm;
  std::vector<GpuAttentionTime> attention;
  std::vector<GpuElementwiseTime> elementwise;
  profiles::BytesPerSecond copy{};  ///< read and written, 1 GiB
  profiles::Seconds launch{0};      ///< of the smallest operation in a row of them
  FixedMemory fixed;
  bool within_device = false;  ///< collectives between parts of it, not between devices
  std::vector<GpuCollectiveTime> collectives;
};

/// Runs the kernels of `engine` on its first device, and collectives between its devices, or parts
/// of the only one. `full`: minutes; else a tenth of the shapes. `progress` is told what comes.
GpuTables measure_gpu(Engine& engine, bool full,
                      const std::function<void(const std::string&)>& progress);

/// The tables as CSV, in the columns that `profile fit` and `evaluate` read; attention without its
/// backward, which has a table of its own.
std::string gemm_csv(const GpuTables& tables);
std::string attention_csv(const GpuTables& tables);
std::string attention_backward_csv(const GpuTables& tables);
std::string elementwise_csv(const GpuTables& tables);
std::string collectives_csv(const GpuTables& tables);

}  // namespace meshplan::runtime
