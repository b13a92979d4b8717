#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/layout/layout_text.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"

namespace meshplan::planner {

/// Degrees and micro-batch: what the other options are chosen under.
struct Degrees {
  int tp = 1, cp = 1, pp = 1, dp = 1, ep = 1, mbs = 1;
  std::optional<int> etp = {};  ///< none: tp
};

/// A pipeline order and its chunks per stage.
struct PipelineChoice {
  ScheduleKind schedule = ScheduleKind::OneFOneB;
  int vpp = 1;
};

/// Tokens of a sequence that a rank keeps at least when the search cuts sequences. Published long
/// context runs keep twice that (Llama 3, table 4: 131,072 tokens over cp 16).
constexpr int kContextTokens = 4096;

/// Every layout that a search considers, each once: the degrees times the options that make sense
/// under them. Options that change nothing under some degrees (sp without tp, ZeRO without
/// replicas, the order of axes of degree one) are there once only.
///
///   degrees: tp * cp * pp * dp = devices, tp <= heads, pp <= layers + 2; cp a power of two that
///            leaves each rank at least kContextTokens tokens of a sequence: below, a rank computes
///            too little attention to hide the exchange of keys and values behind
///   experts: ep divides their number and dp * cp; or dp * cp * tp with whole experts (etp 1)
///   mbs:     divisors of the batch of one replica, at most 64; 1 where dp does not divide it
///   options: schedule and vpp, sp, recompute, zero, overlap, cp_kind, order
///
/// Left to `--fix`: other etp, hsdp, a stated split, and offload, which needs memory of the host
/// that no cluster file states.
class SearchSpace {
 public:
  /// `fixed`: keys of `--fix` take their one value.
  SearchSpace(const Transformer& model, const Workload& workload, int devices,
              const LayoutText& fixed = {});

  [[nodiscard]] const std::vector<Degrees>& degrees() const { return degrees_; }
  [[nodiscard]] std::vector<PipelineChoice> pipelines(const Degrees& d) const;
  [[nodiscard]] std::vector<bool> sequence_parallel(const Degrees& d) const;
  [[nodiscard]] std::vector<Recompute> recomputes(const Degrees& d) const;
  [[nodiscard]] std::vector<int> zero_stages(const Degrees& d) const;
  [[nodiscard]] std::vector<Overlap> overlaps(const Degrees& d, bool sp, int zero) const;
  /// The ways to exchange keys and values; those that cut heads only where the heads allow it.
  [[nodiscard]] std::vector<ContextKind> context_kinds(const Degrees& d) const;
  /// The default order first; orders that differ only in axes of degree 1 once.
  [[nodiscard]] std::vector<std::array<Axis, 4>> orders(const Degrees& d) const;

  /// Layouts under `d`: the product of the options.
  [[nodiscard]] std::int64_t size_under(const Degrees& d) const;
  [[nodiscard]] std::int64_t size() const;
  /// Calls `visit` for every layout: the plain definition that tests hold the search against.
  void for_each(const std::function<void(const Layout&)>& visit) const;

  /// The layout of one combination.
  [[nodiscard]] Layout layout(const Degrees& d, const PipelineChoice& pipeline, bool sp,
                              Recompute recompute, int zero, Overlap overlap, ContextKind kind,
                              const std::array<Axis, 4>& order) const;

 private:
  /// `d` with every expert degree and micro-batch.
  void add_degrees(Degrees d, const Workload& workload);
  /// Adds `eps` and the micro-batches to `d`.
  void add_degrees(Degrees d, const std::vector<int>& eps, const Workload& workload);

  const Transformer& model_;
  LayoutText fixed_;
  std::vector<Degrees> degrees_;
};

}  // namespace meshplan::planner
