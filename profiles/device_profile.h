#pragma once
#include <string>
#include <vector>

#include "profiles/data_files.h"
#include "profiles/device.h"
#include "profiles/log_grid.h"
#include "profiles/units.h"

/// What was measured on a device, as few explained constants, all relative to its data sheet, so
/// that a device that nobody measured can borrow them from its kin. The formulas that use them:
/// planner/cost/compute. How they are fitted: planner/fit.
namespace meshplan::profiles {

/// One shape of output block that a GEMM library offers.
struct GemmTile {
  int rows = 128, columns = 128;  ///< of C, computed by one thread block
  double efficiency = 0.8;        ///< of one multiprocessor's peak, in the main loop
};

struct GemmConstants {
  Seconds launch{3e-6};          ///< of the smallest GEMM
  Seconds tile_overhead{1e-6};   ///< prologue and epilogue of one tile
  Seconds split_overhead{1e-6};  ///< a second pass that adds the partial sums of a split of k
  double quantisation = 0.7;  ///< 1: the last wave of tiles costs as much as a full one; 0: nothing
  double memory_efficiency = 0.9;  ///< of the data sheet's bandwidth
  double l2_bandwidth = 2;         ///< of L2, as a multiple of the data sheet's memory bandwidth
  double l2_share = 0.7;           ///< part of L2 that still holds operands of the previous run
  double block_bandwidth = 2.5;  ///< what one thread block can stream, × (memory bandwidth / SMs)
  double overlap = 4;  ///< p of (compute^p + memory^p)^(1/p): the larger p, the better they overlap
  std::vector<GemmTile> tiles;
  LogGrid residual;     ///< over m, n, k
  double spread = 0.3;  ///< sigma of ln(measured / predicted) on shapes that were not fitted
  int rows = 0;         ///< measurements behind the constants
};

/// Efficiency of the fused attention kernel by head dimension.
struct HeadDimEfficiency {
  int head_dim = 128;
  double forward = 0.6;  ///< of the device's peak, long sequences
};

struct AttentionConstants {
  Seconds launch{1e-5};
  Seconds block_overhead{1e-6};       ///< per tile of queries: load Q, write O
  double backward_efficiency = 0.75;  ///< relative to forward
  double quantisation = 0.5;
  double memory_efficiency = 0.85;
  std::vector<HeadDimEfficiency> head_dims;  ///< ascending
  LogGrid residual;                          ///< over batch × heads, query length, head dimension
  double spread = 0.3;
  int rows = 0;
};

/// Attention of one new token per sequence to its cache of keys and values.
struct DecodeConstants {
  Seconds launch{1e-5};
  double memory_efficiency = 0.85;
  double block_bandwidth = 1.5;  ///< what one thread block can stream, × (memory bandwidth / SMs)
  double l2_bandwidth = 2;
  double l2_share = 0.7;
  LogGrid residual;  ///< over batch × kv heads, kv length, heads per kv head, head dimension
  double spread = 0.3;
  int rows = 0;
};

struct MemoryBoundConstants {
  Seconds launch{2.5e-6};
  double efficiency = 0.85;  ///< of the data sheet's bandwidth
};

struct DeviceProfile {
  Device device;           ///< the facts
  std::string name;        ///< "h100-sxm-80gb"; extrapolated: "h100-pcie-80gb from h100-sxm-80gb"
  std::string provenance;  ///< one line: fitted from what and when, or borrowed from whom
  std::string sha256;      ///< of the file's text; empty without one
  bool fitted = false;     ///< measured on this device, not borrowed
  GemmConstants gemm;
  AttentionConstants attention;
  DecodeConstants decode;
  MemoryBoundConstants memory_bound;
  /// Tensor-core speed under the power cap after seconds of dense work, over that of the tables
  /// (taken in short bursts at locked maximum clocks).
  double sustained_clock_factor = 0.85;
  std::string sustained_clock_cause;  ///< why, and where the figure was read
};

/// The fitted profile of `device`; without one, the constants of the nearest kin with a wider
/// spread; of a CPU, a roofline.
DeviceProfile load_profile(const Device& device, const DataFiles& files);

}  // namespace meshplan::profiles
