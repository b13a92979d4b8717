#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "profiles/device_profile.h"
#include "profiles/units.h"

namespace meshplan::runtime {

/// C[m,n] = A[m,k] B[k,n]: mean of the three forms that a layer uses (forward, input gradient,
/// accumulated weight gradient); of few rows, which only decoding has, the forward alone.
struct GemmTime {
  std::int64_t m = 1, n = 1, k = 1;
  profiles::Seconds time{0};
};

/// Causal self-attention of `heads` heads of one sequence.
struct AttentionTime {
  std::int64_t heads = 1, sequence = 1, head_dim = 1;
  profiles::Seconds forward{0}, backward{0};
};

/// One new query of each of `kv_heads * group` heads over the `keys` keys of one sequence.
struct DecodeTime {
  std::int64_t kv_heads = 1, keys = 1, group = 1, head_dim = 1;
  profiles::Seconds time{0};
};

/// Everything but products of a GPT layer, both passes, on tensors of `tensor` bytes: norms,
/// activation over four times the width, residuals, biases. `charged` = the bytes that the planner
/// counts for it.
struct ElementwiseTime {
  profiles::Bytes tensor, charged;
  profiles::Seconds time{0};
};

/// Two ranks on threads of their own.
struct AllReduceTime {
  profiles::Bytes size;
  profiles::Seconds time{0};
};

/// What was measured on a core while the others did the same: so ranks find their machine. Each
/// time is the median of several runs, times what all runs together took over their medians, and
/// the mean over the cores.
struct HostTables {
  int cores = 1;                                            ///< that measured together
  std::vector<std::int64_t> gemm_rows, gemm_widths;         ///< axes of `gemm`: m; n and k
  std::vector<GemmTime> gemm;                               ///< k fastest, then n
  std::vector<GemmTime> gemm_held_out;                      ///< between the nodes, to be judged by
  std::vector<std::int64_t> attention_lengths, head_dims;   ///< axes of `attention`
  std::vector<AttentionTime> attention;                     ///< head_dim fastest
  std::vector<std::int64_t> decode_lengths, decode_groups;  ///< axes of `decode`, with head_dims
  std::vector<DecodeTime> decode;                           ///< head_dim fastest, then group
  std::vector<ElementwiseTime> elementwise;                 ///< ascending
  profiles::BytesPerSecond stream{};      ///< the fastest, of tensors far beyond all caches
  profiles::Seconds call{0};              ///< of the smallest operation
  profiles::Seconds dropout_pair{0};      ///< drawing one probability of attention, in either pass
  profiles::TimeFactors alone;            ///< the same work on one core while the others rest
  profiles::Waiting waiting;              ///< of two ranks
  std::vector<AllReduceTime> all_reduce;  ///< empty on a machine of one core
};

/// Rows of a product below which it can only be of decoding.
inline constexpr std::int64_t kFewRows = 20;

/// How much to measure: 15 seconds, or a minute.
enum class Effort { Brief, Full };

/// The shapes that are measured. No other than these may be known to a profile: what is validated
/// (tests/validation) lies between them.
struct ProfiledShapes {
  std::vector<std::int64_t> gemm_rows, gemm_widths;  ///< m; n and k: every combination
  std::vector<std::array<std::int64_t, 3>> gemm_held_out;
  std::vector<std::int64_t> attention_lengths, head_dims;   ///< of four heads: every combination
  std::vector<std::int64_t> decode_lengths, decode_groups;  ///< keys; heads to a key head, of four
  std::vector<std::int64_t> elementwise_rows;               ///< of 640 columns
  std::vector<std::int64_t> all_reduce_elements;
};
ProfiledShapes profiled_shapes(Effort effort);

/// Memory that each measuring core takes.
inline constexpr profiles::Bytes kMeasuringMemory{std::int64_t{768} << 20};

/// Runs kernels/cpu on `cores` cores at once, in-process collectives on two. `progress` is told
/// what comes.
HostTables measure_host(Effort effort, int cores,
                        const std::function<void(const std::string&)>& progress);

}  // namespace meshplan::runtime
