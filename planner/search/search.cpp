#include "planner/search/search.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <queue>
#include <stdexcept>

#include "planner/layout/legality.h"
#include "planner/predict.h"
#include "planner/schedule/bounds.h"
#include "planner/search/best_layouts.h"
#include "planner/search/family_bounds.h"
#include "planner/search/feasible_families.h"
#include "planner/search/nearest_miss.h"
#include "planner/search/placement_book.h"
#include "planner/search/split_book.h"
#include "planner/search/unbeatable_step.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;
using WallClock = std::chrono::steady_clock;

/// How much of an entry's bound is worked out.
enum class Rung : std::uint8_t {
  Work,      ///< a family: its work spread evenly over the stages
  Schedule,  ///< a family: the schedule's own bound with the cheapest placement
  Layout,    ///< one layout with its own prices
};

/// What the queue orders.
struct Entry {
  Seconds bound{0};
  std::int64_t place = 0;  ///< in the order of the space: breaks ties
  std::size_t index = 0;   ///< of the family, or of the priced layout
  Rung rung = Rung::Work;
  bool overlaps_tp = false;  ///< of a family: which of its layouts are meant
};
struct Later {
  bool operator()(const Entry& a, const Entry& b) const {
    return a.bound != b.bound ? a.bound > b.bound : a.place > b.place;
  }
};

/// A layout that stands for all orders of axes with its placement.
struct PlacedLayout {
  Layout layout;
  std::int64_t place = 0;
  std::int64_t kind = 0;        ///< which others it does not count as different from
  std::int64_t equivalent = 1;  ///< layouts that it stands for, itself included
};

bool overlaps_tp(Overlap overlap) { return overlap == Overlap::GradParamTp; }

class Search {
 public:
  Search(const Problem& problem, const SearchOptions& options)
      : problem_(problem),
        options_(options),
        start_(WallClock::now()),
        space_(problem.model, problem.workload, problem.cluster.devices(), options.fixed),
        book_(problem),
        placements_(space_, book_),
        splits_(problem.model),
        bounds_(space_, book_, placements_, splits_),
        feasible_(feasible_families(space_, options.refusing_rule, book_, splits_)),
        report_(feasible_.counts),
        best_(options.top, options.objective) {}

  PlanResult run() {
    if (options_.objective == Objective::Memory) {
      simulate_smallest();
    } else {
      simulate_best_first();
    }
    return finish();
  }

 private:
  /// Calls `visit(layout, where)` for the layouts of `family` that are feasible and have a ZeRO
  /// stage and an overlap that `wanted` says yes to; each placement once.
  template <typename Wanted, typename Visit>
  void for_each_placed(const Family& family, Wanted&& wanted, Visit&& visit) {
    const Degrees& d = family.degrees;
    const auto orders = static_cast<std::int64_t>(space_.orders(d).size());
    std::int64_t place = family.place;
    for (const int zero : space_.zero_stages(d)) {
      for (const Overlap overlap : space_.overlaps(d, family.sp, zero)) {
        const bool meant = family.peaks[static_cast<std::size_t>(zero)] && wanted(zero, overlap);
        for (const ContextKind kind : space_.context_kinds(d)) {
          const std::int64_t here = place;
          place += orders;
          if (!meant) continue;
          const Layout layout = member(space_, family, zero, overlap, kind);
          for (const PlacedOrders& placed : placements_.of(layout)) {
            if (auto allowed = allowed_of(layout, placed, here)) {
              allowed->kind = kind_of_all(family).value_or(here);
              visit(*allowed, placed.where);
            }
          }
        }
      }
    }
  }

  /// The first of the orders `placed` that is allowed, and how many are; `place` is that of the
  /// layout's first order.
  [[nodiscard]] std::optional<PlacedLayout> allowed_of(Layout layout, const PlacedOrders& placed,
                                                       std::int64_t place) const {
    std::optional<PlacedLayout> out;
    for (const PlacedOrders::Order& ordered : placed.orders) {
      layout.order = ordered.order;
      if (options_.refusing_rule && options_.refusing_rule(layout)) continue;
      if (!out) out = PlacedLayout{layout, place + ordered.index, 0, 0};
      ++out->equivalent;
    }
    return out;
  }

  /// What all layouts of `family` count as one by; none where they differ among themselves.
  [[nodiscard]] std::optional<std::int64_t> kind_of_all(const Family& family) {
    if (options_.distinct == Distinct::Layouts) return std::nullopt;
    const Degrees& d = family.degrees;
    const DegreeKey key = {d.tp, d.cp, d.pp, d.dp, d.ep, d.etp.value_or(d.tp)};
    return kinds_.try_emplace(key, static_cast<std::int64_t>(kinds_.size())).first->second;
  }

  void simulate(const PlacedLayout& placed) {
    const PreparedLayout prepared = prepare(book_, placed.layout);
    const SimulatedStep step = simulator_.step(prepared.schedule, prepared.costs);
    ++report_.simulated;
    if (!(step.step > Seconds{0})) {
      throw std::logic_error("no step time for " + text(placed.layout));
    }
    best_.offer(placed.kind, {placed.layout, step.step, peak_bytes(prepared.memory), placed.place,
                              placed.equivalent});
  }

  // --- by time

  void simulate_best_first() {
    for (std::size_t i = 0; i < feasible_.families.size(); ++i) push_family(i);
    while (!queue_.empty()) {
      const Entry entry = queue_.top();
      if (best_.full() && !may_beat(entry, best_.worst())) break;
      queue_.pop();
      const auto kind = kind_of(entry);
      const Candidate* rival = kind ? best_.best_of(*kind) : nullptr;
      if (rival != nullptr && !may_beat(entry, *rival)) continue;
      if (entry.rung == Rung::Work) {
        const Family& family = feasible_.families[entry.index];
        Entry next = entry;
        next.bound = std::max(entry.bound, bounds_.schedule_bound(family, entry.overlaps_tp));
        next.rung = Rung::Schedule;
        queue_.push(next);
      } else if (entry.rung == Rung::Schedule) {
        expand(feasible_.families[entry.index], entry.overlaps_tp);
      } else {
        simulate(placed_[entry.index]);
      }
      if (options_.progress && report_.simulated % 64 == 0) options_.progress(report_);
    }
  }

  [[nodiscard]] std::optional<std::int64_t> kind_of(const Entry& entry) {
    if (entry.rung == Rung::Layout) return placed_[entry.index].kind;
    return kind_of_all(feasible_.families[entry.index]);
  }

  /// Once for its layouts that overlap tensor-parallel communication, once for the others.
  void push_family(std::size_t index) {
    const Family& family = feasible_.families[index];
    std::array<bool, 2> offered = {false, false};
    for (const int zero : space_.zero_stages(family.degrees)) {
      if (!family.peaks[static_cast<std::size_t>(zero)]) continue;
      for (const Overlap overlap : space_.overlaps(family.degrees, family.sp, zero)) {
        offered[overlaps_tp(overlap) ? 1 : 0] = true;
      }
    }
    for (const bool overlapped : {false, true}) {
      if (!offered[overlapped ? 1 : 0]) continue;
      queue_.push(
          {bounds_.work_bound(family, overlapped), family.place, index, Rung::Work, overlapped});
    }
  }

  void expand(const Family& family, bool overlapped) {
    const auto meant = [&](int, Overlap overlap) { return overlaps_tp(overlap) == overlapped; };
    for_each_placed(family, meant, [&](const PlacedLayout& placed, const Placement& where) {
      const Layout& layout = placed.layout;
      const ScheduleCosts costs = book_.costs(layout, splits_.of(layout), where);
      const Seconds bound =
          step_lower_bound(layout.schedule, costs, layout.pp, layout.chunks_per_stage(),
                           microbatches(layout, problem_.workload), problem_.global_sync);
      queue_.push({bound, placed.place, placed_.size(), Rung::Layout, overlapped});
      placed_.push_back(placed);
    });
  }

  /// Whether something below `entry` may come before `last`: its step is no less than the bound,
  /// its place no less than the entry's.
  [[nodiscard]] static bool may_beat(const Entry& entry, const Candidate& last) {
    return entry.bound != last.step ? entry.bound < last.step : entry.place < last.place;
  }

  // --- by memory

  /// Memory decides first, and is known of every layout: the smallest are simulated, with all
  /// layouts that tie with the last of them.
  void simulate_smallest() {
    struct Sized {
      Bytes peak;
      const Family* family;
      int zero;
    };
    std::vector<Sized> by_peak;
    for (const Family& family : feasible_.families) {
      for (int zero = 0; zero <= 3; ++zero) {
        const auto& peak = family.peaks[static_cast<std::size_t>(zero)];
        if (peak) by_peak.push_back({*peak, &family, zero});
      }
    }
    std::stable_sort(by_peak.begin(), by_peak.end(),
                     [](const Sized& a, const Sized& b) { return a.peak < b.peak; });
    for (const Sized& sized : by_peak) {
      if (best_.full() && sized.peak > best_.worst().peak) break;
      const auto meant = [&](int zero, Overlap) { return zero == sized.zero; };
      for_each_placed(*sized.family, meant,
                      [&](const PlacedLayout& placed, const Placement&) { simulate(placed); });
    }
  }

  // --- the answer

  PlanResult finish() {
    PlanResult out;
    for (const Candidate& candidate : best_.best()) {
      Plan plan = predict(book_, candidate.layout);
      plan.equivalent = candidate.equivalent;
      out.plans.push_back(std::move(plan));
    }
    if (out.plans.empty() && feasible_.nearest_miss) {
      NearestMiss miss;
      miss.plan = predict(book_, feasible_.nearest_miss->layout);
      miss.missing = feasible_.nearest_miss->peak - problem_.memory_limit();
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

  const Problem& problem_;
  const SearchOptions& options_;
  const WallClock::time_point start_;
  const SearchSpace space_;
  PriceBook book_;
  PlacementBook placements_;
  SplitBook splits_;
  FamilyBounds bounds_;
  const FeasibleFamilies feasible_;
  SearchReport report_;
  BestLayouts best_;
  std::map<DegreeKey, std::int64_t> kinds_;  ///< Distinct::Degrees
  Simulator simulator_;
  std::vector<PlacedLayout> placed_;
  std::priority_queue<Entry, std::vector<Entry>, Later> queue_;
};

}  // namespace

PlanResult search(const Problem& problem, const SearchOptions& options) {
  return Search(problem, options).run();
}

}  // namespace meshplan::planner
