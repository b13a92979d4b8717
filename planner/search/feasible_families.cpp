#include "planner/search/feasible_families.h"

#include "planner/layout/legality.h"
#include "planner/memory/stage_memory.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

class Judge {
 public:
  Judge(const SearchSpace& space, const RefusingRule& refusing_rule, PriceBook& book,
        SplitBook& splits)
      : space_(space), refusing_rule_(refusing_rule), book_(book), splits_(splits) {}

  FeasibleFamilies judge() {
    for (const Degrees& d : space_.degrees()) {
      const std::int64_t size = space_.size_under(d);
      judge(d, size);
      out_.counts.candidates += size;
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::optional<Rule> rule_broken_by(const Layout& layout) const {
    const Problem& problem = book_.problem();
    return broken_rule(layout, problem.model, problem.workload, problem.cluster.devices());
  }

  void reject(std::string_view reason, std::int64_t count) {
    out_.counts.rejected[std::string(reason)] += count;
  }

  /// `size` layouts lie under `d`.
  void judge(const Degrees& d, std::int64_t size) {
    Layout probe = member(space_, {.degrees = d}, 0, Overlap::None);
    probe.stages.clear();
    probe.hsdp = 1;
    // Rules up to this one are of the degrees; the options below may break one before a later one.
    const auto rule = rule_broken_by(probe);
    if (rule && *rule <= Rule::SequenceByCp) {
      reject(name(*rule), size);
      return;
    }
    kinds_ = space_.context_kinds(d);
    orders_ = space_.orders(d);
    std::int64_t place = out_.counts.candidates;
    for (const PipelineChoice& pipeline : space_.pipelines(d)) {
      for (const bool sp : space_.sequence_parallel(d)) {
        for (const Recompute recompute : space_.recomputes(d)) {
          place += judge({d, pipeline, sp, recompute, place, {}});
        }
      }
    }
  }

  /// Returns how many layouts the family has.
  std::int64_t judge(Family family) {
    std::int64_t size = 0;
    bool any = false;
    loads_.clear();
    for (const int zero : space_.zero_stages(family.degrees)) {
      const auto overlaps = space_.overlaps(family.degrees, family.sp, zero);
      const auto layouts =
          static_cast<std::int64_t>(overlaps.size() * kinds_.size() * orders_.size());
      size += layouts;
      const Layout layout = member(space_, family, zero, overlaps.front());
      if (const auto rule = rule_broken_by(layout)) {
        reject(name(*rule), layouts);
        continue;
      }
      const std::int64_t allowed = layouts - refused(layout, overlaps);
      if (allowed == 0) continue;
      const Bytes peak = peak_of(layout);
      if (peak > book_.problem().memory_limit()) {
        reject("out_of_memory", allowed);
        if (!out_.nearest_miss || peak < out_.nearest_miss->peak) {
          out_.nearest_miss = FeasibleFamilies::Miss{layout, peak};
        }
        continue;
      }
      out_.counts.feasible += allowed;
      family.peaks[static_cast<std::size_t>(zero)] = peak;
      any = true;
    }
    if (any) out_.families.push_back(family);
    return size;
  }

  /// Rejects what `refusing_rule` refuses of `layout` with each overlap, cp_kind and order;
  /// returns how many.
  std::int64_t refused(Layout layout, const std::vector<Overlap>& overlaps) {
    if (!refusing_rule_) return 0;
    std::int64_t count = 0;
    for (const Overlap overlap : overlaps) {
      layout.overlap = overlap;
      for (const ContextKind kind : kinds_) {
        layout.cp_kind = kind;
        for (const auto& order : orders_) {
          layout.order = order;
          if (const auto rule = refusing_rule_(layout)) {
            reject(*rule, 1);
            ++count;
          }
        }
      }
    }
    return count;
  }

  /// States differ by ZeRO stage; what a stage holds of parameters and activations does not, and is
  /// kept in `loads_` until the next family.
  Bytes peak_of(const Layout& layout) {
    const Problem& problem = book_.problem();
    const RankParameters& parameters = book_.parameters(layout);
    const ActivationBytes& activations = book_.activations(layout);
    if (loads_.empty()) {
      stage_loads(problem.model, layout, problem.workload, splits_.of(layout), parameters,
                  activations, loads_);
    }
    stage_memory(problem, layout, loads_, parameters, activations, memory_);
    return peak_bytes(memory_);
  }

  const SearchSpace& space_;
  const RefusingRule& refusing_rule_;
  PriceBook& book_;
  SplitBook& splits_;
  FeasibleFamilies out_;
  std::vector<ContextKind> kinds_;           ///< under the degrees at hand
  std::vector<std::array<Axis, 4>> orders_;  ///< under the degrees at hand
  std::vector<StageLoad> loads_;             ///< scratch
  std::vector<StageMemory> memory_;          ///< scratch
};

}  // namespace

FeasibleFamilies feasible_families(const SearchSpace& space, const RefusingRule& refusing_rule,
                                   PriceBook& book, SplitBook& splits) {
  return Judge(space, refusing_rule, book, splits).judge();
}

}  // namespace meshplan::planner
