#include "planner/search/search.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <queue>
#include <stdexcept>

#include "planner/cost/price_book.h"
#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/memory/model_states.h"
#include "planner/model/flops.h"
#include "planner/model/parameters.h"
#include "planner/predict.h"
#include "planner/schedule/bounds.h"
#include "planner/search/nearest_miss.h"
#include "planner/search/placement_book.h"
#include "planner/search/search_space.h"
#include "planner/simulate/simulate.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;
using WallClock = std::chrono::steady_clock;

/// Layouts that share everything but ZeRO stage, overlap and order of axes, and that differ in
/// whether tensor-parallel communication is overlapped: the first rung of the search.
struct Family {
  Degrees degrees;
  PipelineChoice pipeline;
  bool sp = false;
  Recompute recompute = Recompute::None;
  bool overlaps_tp = false;
  std::uint8_t fitting_zero = 0;  ///< bit z: ZeRO stage z fits
};

/// How much of an entry's bound is worked out.
enum class Rung : std::uint8_t {
  Work,    ///< a family: its work spread evenly over the stages
  Family,  ///< a family: the schedule's own bound with the cheapest placement
  Layout,  ///< one layout with its own prices
};

/// What the queue orders.
struct Entry {
  Seconds bound{0};
  std::int64_t place = 0;  ///< in the order of the space: breaks ties
  std::int64_t index = 0;  ///< of the family, or of the priced layout
  Rung rung = Rung::Work;
};
struct Later {
  bool operator()(const Entry& a, const Entry& b) const {
    return a.bound != b.bound ? a.bound > b.bound : a.place > b.place;
  }
};

struct PricedLayout {
  Layout layout;
  std::int64_t place = 0;
  std::int64_t equivalent = 1;
};

/// A simulated layout, ordered by (step, place).
struct Candidate {
  Seconds step{0};
  Bytes peak{};
  std::int64_t place = 0;
  Plan plan;
};

class Search {
 public:
  Search(const Problem& problem, const SearchOptions& options)
      : problem_(problem),
        options_(options),
        start_(WallClock::now()),
        space_(problem.model, problem.workload, problem.cluster.devices(), options.fixed),
        book_(problem),
        placements_(space_, book_) {}

  PlanResult run() {
    judge_all();
    if (options_.objective == Objective::Memory) {
      simulate_smallest();
    } else {
      simulate_best_first();
    }
    return finish();
  }

 private:
  // --- first rung: every layout is judged, legal or not, fitting or not
  // ---------------------------

  void judge_all() {
    std::int64_t place = 0;
    for (const Degrees& d : space_.degrees()) {
      const std::int64_t size = space_.size_under(d);
      report_.candidates += size;
      judge(d, place, size);
      place += size;
    }
  }

  void reject(std::string_view reason, std::int64_t count) {
    if (count > 0) report_.rejected[std::string(reason)] += count;
  }

  /// Rules that hold or fail for everything under `d` are judged once.
  void judge(const Degrees& d, std::int64_t place, std::int64_t size) {
    Layout probe = space_.layout(d, {}, false, Recompute::None, 0, Overlap::None, Layout{}.order);
    probe.stages.clear();
    probe.hsdp = 1;
    if (const auto rule =
            broken_rule(probe, problem_.model, problem_.workload, problem_.cluster.devices())) {
      reject(name(*rule), size);
      return;
    }
    for (const PipelineChoice& pipeline : space_.pipelines(d)) {
      for (const bool sp : space_.sequence_parallel(d)) {
        for (const Recompute recompute : space_.recomputes(d)) {
          place += judge_family({d, pipeline, sp, recompute, false, 0}, place);
        }
      }
    }
  }

  /// Judges the layouts of a family, ZeRO stage by ZeRO stage; returns how many there are.
  std::int64_t judge_family(Family family, std::int64_t place) {
    const Degrees& d = family.degrees;
    const auto orders = static_cast<std::int64_t>(space_.orders(d).size());
    bool tp_overlap_offered = false;
    bool others_offered = false;
    std::int64_t count = 0;
    loads_.clear();
    for (const int zero : space_.zero_stages(d)) {
      const auto overlaps = space_.overlaps(d, family.sp, zero);
      const auto layouts = static_cast<std::int64_t>(overlaps.size()) * orders;
      const std::int64_t here = place + count;
      count += layouts;
      const Layout layout = space_.layout(d, family.pipeline, family.sp, family.recompute, zero,
                                          overlaps.front(), Layout{}.order);
      if (const auto rule =
              broken_rule(layout, problem_.model, problem_.workload, problem_.cluster.devices())) {
        reject(name(*rule), layouts);
        continue;
      }
      // States differ by ZeRO stage; what a stage holds of parameters and activations does not.
      if (loads_.empty()) {
        stage_loads(problem_.model, layout, problem_.workload, split_of(layout),
                    book_.parameters(layout), book_.activations(layout), loads_);
      }
      stage_memory(layout, problem_.workload, problem_.framework, loads_, book_.parameters(layout),
                   book_.activations(layout), memory_);
      const Bytes peak = peak_bytes(memory_);
      if (peak > problem_.memory_limit()) {
        reject("out_of_memory", layouts);
        remember_miss(layout, peak);
        continue;
      }
      report_.feasible += layouts;
      family.fitting_zero = static_cast<std::uint8_t>(family.fitting_zero | (1 << zero));
      for (const Overlap overlap : overlaps) {
        (overlap == Overlap::GradParamTp ? tp_overlap_offered : others_offered) = true;
      }
      if (options_.objective == Objective::Memory) by_memory_.push_back({peak, here, layout});
    }
    if (options_.objective == Objective::Memory) return count;
    for (const bool overlaps_tp : {false, true}) {
      if (!(overlaps_tp ? tp_overlap_offered : others_offered)) continue;
      family.overlaps_tp = overlaps_tp;
      queue_.push(
          {work_bound(family), place, static_cast<std::int64_t>(families_.size()), Rung::Work});
      families_.push_back(family);
    }
    return count;
  }

  /// The split of layers depends on the chunks alone; an empty one (illegal) never comes here.
  const std::vector<int>& split_of(const Layout& layout) {
    if (!layout.stages.empty()) return layout.stages;
    const auto [at, fresh] = splits_.try_emplace(layout.chunks());
    if (fresh) at->second = stage_split(layout, problem_.model);
    return at->second;
  }

  void remember_miss(const Layout& layout, Bytes peak) {
    if (miss_ && miss_peak_ <= peak) return;
    miss_ = layout;
    miss_peak_ = peak;
  }

  // --- bounds -----------------------------------------------------------------------------------

  /// Any layout of the family, for what all of them share.
  [[nodiscard]] Layout member(const Family& family) const {
    return space_.layout(family.degrees, family.pipeline, family.sp, family.recompute, 0,
                         family.overlaps_tp ? Overlap::GradParamTp : Overlap::None, Layout{}.order);
  }

  /// The busiest stage works at least as long as the stages do on average.
  Seconds work_bound(const Family& family) {
    const Layout layout = member(family);
    const BlockPrices& blocks = placements_.cheapest_prices(layout);
    const auto work = [](const BlockCost& block) {
      return block.forward.total() + block.recompute.total() + block.input_grad.total() +
             block.weight_grad.total();
    };
    const int sparse = sparse_layers(problem_.model, 0, problem_.model.layers);
    const double dense = problem_.model.layers - sparse;
    // Embedding and head are never recomputed.
    const Seconds ends = work(blocks.embedding) - blocks.embedding.recompute.total() +
                         work(blocks.head) - blocks.head.recompute.total();
    const Seconds all = dense * work(blocks.dense_layer) +
                        static_cast<double>(sparse) * work(blocks.sparse_layer) + ends;
    constexpr double kRounding = 1 - 1e-12;  // sums in another order may differ in the last bits
    return kRounding * microbatches(layout, problem_.workload) * all / layout.pp;
  }

  /// Compute and the cheapest placement of the groups inside a layer: no layout of the family is
  /// faster.
  Seconds family_bound(const Family& family) {
    const Layout layout = member(family);
    const BlockPrices& blocks = placements_.cheapest_prices(layout);
    bound_costs_.chunks = chunk_costs(problem_.model, split_of(layout), blocks);
    bound_costs_.stages.assign(static_cast<std::size_t>(layout.pp), StageCost{});
    bound_costs_.hops_forward.assign(bound_costs_.chunks.size(), HopCost{});
    bound_costs_.hops_backward.assign(bound_costs_.chunks.size(), HopCost{});
    return step_lower_bound(layout.schedule, bound_costs_, layout.pp, layout.chunks_per_stage(),
                            microbatches(layout, problem_.workload), problem_.global_sync);
  }

  // --- second rung and simulation
  // -----------------------------------------------------------------

  void expand(const Family& family, std::int64_t place) {
    const Degrees& d = family.degrees;
    for (const int zero : space_.zero_stages(d)) {
      for (const Overlap overlap : space_.overlaps(d, family.sp, zero)) {
        const std::int64_t here = place;
        place += static_cast<std::int64_t>(space_.orders(d).size());
        if ((family.fitting_zero >> zero & 1) == 0) continue;
        if ((overlap == Overlap::GradParamTp) != family.overlaps_tp) continue;
        Layout layout = space_.layout(d, family.pipeline, family.sp, family.recompute, zero,
                                      overlap, Layout{}.order);
        for (const PlacedOrders& p : placements_.of(layout)) {
          layout.order = p.orders.front();
          const ScheduleCosts costs = book_.costs(layout, split_of(layout), p.where);
          const Seconds bound =
              step_lower_bound(layout.schedule, costs, layout.pp, layout.chunks_per_stage(),
                               microbatches(layout, problem_.workload), problem_.global_sync);
          queue_.push(
              {bound, here + p.first, static_cast<std::int64_t>(priced_.size()), Rung::Layout});
          priced_.push_back({layout, here + p.first, static_cast<std::int64_t>(p.orders.size())});
        }
      }
    }
  }

  void simulate(const PricedLayout& priced) {
    const PreparedLayout prepared = prepare(book_, priced.layout);
    const SimulatedStep step = simulator_.step(prepared.schedule, prepared.costs);
    ++report_.simulated;
    if (!(step.step > Seconds{0})) {
      throw std::logic_error("no step time for " + text(priced.layout));
    }
    Candidate candidate{step.step, peak_bytes(prepared.memory), priced.place,
                        assemble_plan(book_, priced.layout, prepared, step)};
    candidate.plan.equivalent = priced.equivalent;
    keep(std::move(candidate));
  }

  [[nodiscard]] bool before(const Candidate& a, const Candidate& b) const {
    if (options_.objective == Objective::Memory && a.peak != b.peak) return a.peak < b.peak;
    if (a.step != b.step) return a.step < b.step;
    return a.place < b.place;
  }

  void keep(Candidate candidate) {
    const auto at =
        std::upper_bound(best_.begin(), best_.end(), candidate,
                         [&](const Candidate& a, const Candidate& b) { return before(a, b); });
    best_.insert(at, std::move(candidate));
    if (best_.size() > static_cast<std::size_t>(options_.top)) best_.pop_back();
  }

  [[nodiscard]] bool full() const { return best_.size() == static_cast<std::size_t>(options_.top); }

  /// Whether something below `entry` may come before `last`: its step is no less than the bound,
  /// its place no less than the entry's.
  [[nodiscard]] static bool may_beat(const Entry& entry, const Candidate& last) {
    return entry.bound != last.step ? entry.bound < last.step : entry.place < last.place;
  }

  void simulate_best_first() {
    while (!queue_.empty()) {
      const Entry entry = queue_.top();
      if (full() && !may_beat(entry, best_.back())) break;
      queue_.pop();
      const auto index = static_cast<std::size_t>(entry.index);
      if (entry.rung == Rung::Layout) {
        simulate(priced_[index]);
      } else if (entry.rung == Rung::Family) {
        expand(families_[index], entry.place);
      } else {
        const Seconds bound = std::max(entry.bound, family_bound(families_[index]));
        queue_.push({bound, entry.place, entry.index, Rung::Family});
      }
      if (options_.progress && report_.simulated % 64 == 0) options_.progress(report_);
    }
  }

  /// Memory decides first, and is known of every layout: the smallest are simulated, with all
  /// layouts that tie with the last of them.
  void simulate_smallest() {
    std::stable_sort(by_memory_.begin(), by_memory_.end(),
                     [](const auto& a, const auto& b) { return a.peak < b.peak; });
    for (const Sized& sized : by_memory_) {
      if (full() && sized.peak > best_.back().peak) break;
      const Layout& layout = sized.layout;
      const Degrees d{layout.tp, layout.cp, layout.pp, layout.dp, layout.ep, layout.mbs};
      std::int64_t at = sized.place;
      for (const Overlap overlap : space_.overlaps(d, layout.sp, layout.zero)) {
        for (const PlacedOrders& p : placements_.of(layout)) {
          Layout ordered = layout;
          ordered.overlap = overlap;
          ordered.order = p.orders.front();
          simulate({ordered, at + p.first, static_cast<std::int64_t>(p.orders.size())});
        }
        at += static_cast<std::int64_t>(space_.orders(d).size());
      }
    }
  }

  // --- the answer
  // -----------------------------------------------------------------------------------

  PlanResult finish() {
    PlanResult out;
    for (Candidate& candidate : best_) out.plans.push_back(std::move(candidate.plan));
    if (out.plans.empty() && miss_) {
      NearestMiss miss;
      miss.plan = predict(book_, *miss_);
      miss.missing = miss_peak_ - problem_.memory_limit();
      if (options_.mend_miss) miss.cheapest_knob = cheapest_mend(problem_, options_);
      out.nearest_miss = std::move(miss);
    }
    report_.lower_bound = unbeatable_step(problem_);
    if (!out.plans.empty()) {
      const auto fastest = std::min_element(
          out.plans.begin(), out.plans.end(),
          [](const Plan& a, const Plan& b) { return a.prediction.step < b.prediction.step; });
      report_.optimality_gap = fastest->prediction.step / report_.lower_bound - 1;
    }
    report_.seconds = std::chrono::duration<double>(WallClock::now() - start_).count();
    out.search = report_;
    return out;
  }

  struct Sized {
    Bytes peak;
    std::int64_t place;
    Layout layout;
  };

  const Problem& problem_;
  const SearchOptions& options_;
  const WallClock::time_point start_;
  const SearchSpace space_;
  PriceBook book_;
  PlacementBook placements_;
  Simulator simulator_;
  SearchReport report_;
  std::vector<Family> families_;
  std::vector<PricedLayout> priced_;
  std::priority_queue<Entry, std::vector<Entry>, Later> queue_;
  std::vector<Candidate> best_;
  std::vector<Sized> by_memory_;
  ScheduleCosts bound_costs_;     ///< scratch of family_bound
  std::vector<StageLoad> loads_;  ///< scratch of judge_family
  std::vector<StageMemory> memory_;
  std::map<int, std::vector<int>> splits_;
  std::optional<Layout> miss_;
  Bytes miss_peak_{};
};

}  // namespace

Seconds unbeatable_step(const Problem& problem) {
  const double devices = problem.cluster.devices();
  const double flops =
      model_flops_per_sequence(problem.model, problem.workload.seq_len, AttentionConvention::Causal)
          .count *
      problem.workload.global_batch;
  const double peak = problem.cluster.device.peak_at(problem.workload.data_type).rate;
  const StateBytes states = state_bytes(problem.framework, problem.workload.optimizer, 0, 1);
  const double bytes = static_cast<double>(parameter_count(problem.model)) * states.optimizer;
  const double bandwidth = problem.cluster.device.memory_bandwidth.rate;
  return Seconds{flops / (devices * peak) + bytes / (devices * bandwidth)};
}

PlanResult search(const Problem& problem, const SearchOptions& options) {
  return Search(problem, options).run();
}

}  // namespace meshplan::planner
