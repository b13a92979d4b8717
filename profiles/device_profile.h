#pragma once
#include <string>
#include <vector>

#include "profiles/data_files.h"
#include "profiles/device.h"
#include "profiles/log_grid.h"
#include "profiles/units.h"

/// What was measured on a device, as few explained constants, all relative to its data sheet, so
/// that a device that nobody measured can borrow them from its kin. The formulas that use them:
/// planner/cost/compute. How they are fitted: planner/fit. The file: device_profile_json.h.
namespace meshplan::profiles {

/// How far predictions lie from measurements; |predicted / measured - 1| as fractions.
struct ErrorSummary {
  int rows = 0;
  double median = 0, p90 = 0, p95 = 0;
  double bias = 0;  ///< median of predicted / measured - 1
  friend bool operator==(const ErrorSummary&, const ErrorSummary&) = default;
};

/// What stands behind a set of constants.
struct FitRecord {
  ErrorSummary fitted;    ///< on the rows that the constants were fitted on
  ErrorSummary held_out;  ///< on the others
  double spread = 0.35;   ///< sigma of ln(measured / predicted) on the rows held out
  friend bool operator==(const FitRecord&, const FitRecord&) = default;
};

/// One shape of output block that a GEMM library offers.
struct GemmTile {
  int rows = 128, columns = 128;  ///< of C, computed by one thread block
  double efficiency = 0.8;        ///< of one multiprocessor's peak, in the main loop
  friend bool operator==(const GemmTile&, const GemmTile&) = default;
};

struct GemmConstants {
  Seconds launch{2.3e-6};          ///< of the smallest GEMM
  Seconds vector_launch{2.3e-6};   ///< of the smallest matrix times vector (m or n = 1)
  Seconds tile_overhead{5e-7};     ///< prologue and epilogue of any tile
  Seconds area_overhead{1e-6};     ///< and of 128 x 128 elements of C, in proportion to the area
  Seconds split_overhead{2.5e-6};  ///< second pass that adds the partial sums of a split of k
  double quantisation = 0.4;  ///< 1: the last wave of tiles costs as much as a full one; 0: nothing
  double memory_efficiency = 0.9;  ///< of the data sheet's bandwidth
  double store_efficiency = 0.9;   ///< of that, for the result
  double l2_bandwidth = 2;         ///< of L2, as a multiple of the data sheet's memory bandwidth
  double l2_share = 0.65;          ///< part of L2 that operands can hold on to between runs
  double raster_width = 512;       ///< rows or columns of C that run together: beyond, the other
                                   ///< operand streams again unless L2 holds it
  double block_bandwidth = 5;  ///< what one thread block can stream, × (memory bandwidth / SMs)
  double overlap =
      3.5;  ///< p of (compute^p + memory^p)^(1/p): the larger p, the better they overlap
  std::vector<GemmTile> tiles;
  LogGrid residual;  ///< over m, n, k
  FitRecord record;
  friend bool operator==(const GemmConstants&, const GemmConstants&) = default;
};

/// Efficiency of the fused attention kernel by head dimension.
struct HeadDimEfficiency {
  int head_dim = 128;
  double forward = 0.6;  ///< of the device's peak, long sequences
  friend bool operator==(const HeadDimEfficiency&, const HeadDimEfficiency&) = default;
};

/// The fused (flash) kernel over many queries.
struct AttentionConstants {
  Seconds launch{1e-5};
  Seconds block_overhead{1e-6};      ///< per tile of queries: load Q, write O
  double backward_efficiency = 0.8;  ///< of backward, relative to forward. Source: FlashAttention-2
                                     ///< (2023) figures 4-7, FlashAttention-3 (2024) figures 5-6
  int query_tile = 128;              ///< queries of one thread block
  double quantisation = 0.5;         ///< as in GemmConstants, over tiles of queries
  double block_rate = 1;  ///< speed of the longest tile alone, × its share of the device's speed
  double memory_efficiency = 0.85;  ///< of the data sheet's bandwidth
  /// Work on a token of 1 KiB of keys or more before the scores (rotation, writing the cache),
  /// besides its bytes; with fewer keys in proportion.
  Seconds token{2e-9};
  double overlap = 3;  ///< p, as in GemmConstants, of throughput and the longest tile
  /// Drawing whether the probability of a pair of query and key drops, in either pass.
  Seconds dropout_pair{0};
  std::vector<HeadDimEfficiency> head_dims;  ///< ascending
  LogGrid residual;  ///< over batch × heads, query length, heads per kv head, head dimension
  FitRecord record;
  friend bool operator==(const AttentionConstants&, const AttentionConstants&) = default;
};

/// Attention of one new token per sequence to its cache of keys and values.
struct DecodeConstants {
  Seconds launch{1e-5};
  Seconds block_overhead{1e-6};  ///< per thread block
  Seconds split_overhead{1e-6};  ///< second pass that merges the parts of one sequence
  double split_tokens = 256;     ///< least keys of one part
  int least_split_group = 1;     ///< heads per kv head below which sequences are not cut in parts
  double memory_efficiency = 0.9;
  double block_bandwidth = 2;  ///< what one thread block can stream, × (memory bandwidth / SMs)
  double l2_bandwidth = 2;     ///< as in GemmConstants
  double l2_share = 0.65;
  double overlap = 3;  ///< p, as in GemmConstants
  LogGrid residual;    ///< over batch, kv heads, kv length, heads per kv head, head dimension
  FitRecord record;
  friend bool operator==(const DecodeConstants&, const DecodeConstants&) = default;
};

/// Kernels that only move bytes. No table measures them: the launch of a GEMM, the better of the
/// bandwidths that GEMMs and decode attention stream at, less the cost of turning the bus around.
struct MemoryBoundConstants {
  Seconds launch{2.3e-6};
  double efficiency = 0.88;  ///< of the data sheet's bandwidth
  double l2_bandwidth = 2;   ///< as in GemmConstants
  double l2_share = 0.65;
  friend bool operator==(const MemoryBoundConstants&, const MemoryBoundConstants&) = default;
};

/// Times of classes of operations over what a profile says.
struct TimeFactors {
  double gemm = 1, attention = 1, memory_bound = 1;
  friend bool operator==(const TimeFactors&, const TimeFactors&) = default;
};

/// What ranks wait for each other where they meet, over their work since they last met: cores are
/// interrupted, and a meeting begins with the last. The longer the work, the more evens out. 0:
/// devices that all take as long.
struct Waiting {
  double layer = 0;  ///< at the collectives within a layer
  double step = 0;   ///< of replicas, at the end of a step
  friend bool operator==(const Waiting&, const Waiting&) = default;
};

/// A table that constants were fitted on.
struct TableRecord {
  std::string name;    ///< file name without folder
  std::string sha256;  ///< of the file
  int rows = 0;
  friend bool operator==(const TableRecord&, const TableRecord&) = default;
};

struct Cluster;

struct DeviceProfile {
  Device device;           ///< the facts
  std::string name;        ///< "h100-sxm-80gb"; borrowed: "h100-pcie-80gb from h100-sxm-80gb"
  std::string provenance;  ///< one line: fitted on what, or borrowed from whom
  std::string sha256;      ///< of the file, as canonical JSON; empty without one
  bool fitted = false;     ///< measured on this device, not borrowed
  std::string date;        ///< of the fit, "2025-01-31"
  std::vector<TableRecord> tables;
  GemmConstants gemm;
  AttentionConstants attention;
  DecodeConstants decode;
  MemoryBoundConstants memory_bound;
  /// Of a device whose neighbours rest: the rest was measured with all of them busy, and cores
  /// share memory channels, caches and power.
  TimeFactors alone;
  Waiting waiting;
  /// Tensor-core speed under the power cap after seconds of dense work, over that of the tables
  /// (taken at locked maximum clocks, in bursts).
  double sustained_clock_factor = 0.85;
  std::string sustained_clock_cause;  ///< why, and where the figure was read
};

/// `profile` with its classes slower by `factors`: residuals or efficiencies of products and
/// attention, bandwidth of memory-bound work. Launches and the device's facts stay.
DeviceProfile slowed(DeviceProfile profile, const TimeFactors& factors);

/// The profile of `device`: its fitted file profiles/<id>, or the constants of its nearest kin with
/// a wider spread, or, of a CPU, a roofline. The provenance says which.
DeviceProfile load_profile(const Device& device, const DataFiles& files);
/// That of the cluster's device, which has no busy neighbours where it is the only one.
DeviceProfile load_profile(const Cluster& cluster, const DataFiles& files);

}  // namespace meshplan::profiles
