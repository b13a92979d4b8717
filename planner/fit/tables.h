#pragma once
#include <string>
#include <vector>

#include "planner/cost/compute/attention.h"
#include "planner/cost/compute/gemm.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// One row of a gemm_<device>.csv table.
struct GemmMeasurement {
  GemmShape shape;
  profiles::DataType type = profiles::DataType::Bf16;
  double seconds = 0;
};

/// One row of an attention_<device>.csv table. Prefill rows are causal: the FLOPs of the whole
/// square would pass the peak of the device.
struct AttentionMeasurement {
  AttentionShape shape;
  profiles::DataType type = profiles::DataType::Bf16;
  double seconds = 0;
  [[nodiscard]] bool decode() const { return shape.query_len == 1; }
};

/// Measurements of one device, of any number of tables.
struct Tables {
  std::vector<GemmMeasurement> gemm;
  std::vector<AttentionMeasurement> attention;
  std::vector<profiles::TableRecord> sources;
};

/// Reads CSV tables; a table with the column "phase" holds attention, any other GEMMs. Columns:
/// DESIGN.md section 6. Unknown number formats are refused, with file and line.
Tables read_tables(const std::vector<std::string>& paths);

}  // namespace meshplan::planner
