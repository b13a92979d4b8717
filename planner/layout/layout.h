#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace meshplan::planner {

enum class Recompute { None, Selective, Full };
/// Which communication is hidden behind compute: gradient reduction, also the parameter gathers,
/// also tensor-parallel collectives.
enum class Overlap { None, Grad, GradParam, GradParamTp };
enum class ContextKind { Ring, AllGather, Ulysses };
enum class Offload { None, Activations, Optimizer };
enum class ScheduleKind { GPipe, OneFOneB, Interleaved, ZbH1, ZbH2, ZbV };
enum class Axis { Tp, Cp, Dp, Pp };

/// Degrees and options of a parallel layout (DESIGN.md section 3). A default-constructed layout is
/// one device. Text form: layout_text.h.
struct Layout {
  int tp = 1, pp = 1, dp = 1;
  int mbs = 1;  ///< sequences per micro-batch
  int cp = 1, ep = 1;
  std::optional<int> etp;  ///< tensor degree inside experts; none: tp
  int vpp = 1;             ///< chunks per stage
  bool sp = false;         ///< sequence parallelism
  Recompute recompute = Recompute::None;
  int zero = 0;  ///< 0..3; 3 = fully sharded
  int hsdp = 1;  ///< replicas over shards: states are sharded over dp * cp / hsdp
  Overlap overlap = Overlap::None;
  ContextKind cp_kind = ContextKind::Ring;
  Offload offload = Offload::None;
  std::array<Axis, 4> order = {Axis::Tp, Axis::Cp, Axis::Dp, Axis::Pp};  ///< fastest first
  ScheduleKind schedule = ScheduleKind::OneFOneB;
  std::vector<int> stages;  ///< layers per chunk in model order, pp * chunks_per_stage entries

  friend bool operator==(const Layout&, const Layout&) = default;

  [[nodiscard]] int devices() const { return tp * pp * dp * cp; }
  [[nodiscard]] int expert_tp() const { return etp.value_or(tp); }
  /// Virtual stages per pipeline rank: vpp, and 2 under zb-v.
  [[nodiscard]] int chunks_per_stage() const { return schedule == ScheduleKind::ZbV ? 2 : vpp; }
  [[nodiscard]] int chunks() const { return pp * chunks_per_stage(); }
  /// Ranks that hold the same dense parameters and may shard their states.
  [[nodiscard]] int replicas() const { return dp * cp; }
  [[nodiscard]] int shards() const { return dp * cp / hsdp; }
};

}  // namespace meshplan::planner
