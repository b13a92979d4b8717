#include "planner/search/search.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "planner/layout/legality.h"
#include "planner/predict.h"
#include "planner/schedule/bounds.h"
#include "planner/search/search_space.h"
#include "planner/search/unbeatable_step.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Seconds;
using test::training_problem;

/// What the search must find, by predicting every layout of the space.
struct BruteForce {
  std::int64_t candidates = 0, feasible = 0;
  std::map<std::string, std::int64_t> rejected;
  struct Found {
    Layout layout;
    Seconds step{0};
    Bytes peak;
  };
  std::vector<Found> found;  ///< in the order of the space
};

/// What makes two layouts count as one.
std::string kind_of(Layout layout, Distinct distinct) {
  layout.order = Layout{}.order;
  if (distinct == Distinct::Layouts) return text(layout);
  return fmt::format("tp{} cp{} pp{} dp{} ep{} etp{}", layout.tp, layout.cp, layout.pp, layout.dp,
                     layout.ep, layout.expert_tp());
}

/// The definition of an answer: of each kind the best, those of equal step and peak once, and of
/// these the best `top`. Where figures tie, the first in the order of the space.
std::vector<BruteForce::Found> answer_of(const BruteForce& all, const SearchOptions& options) {
  const auto better = [&](const BruteForce::Found& a, const BruteForce::Found& b) {
    if (options.objective == Objective::Memory && a.peak != b.peak) return a.peak < b.peak;
    return a.step < b.step;
  };
  std::vector<BruteForce::Found> kinds;
  std::map<std::string, std::size_t> seen;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < all.found.size(); ++i) {
    const auto [at, fresh] =
        seen.try_emplace(kind_of(all.found[i].layout, options.distinct), kinds.size());
    if (fresh) {
      kinds.push_back(all.found[i]);
      places.push_back(i);
    } else if (better(all.found[i], kinds[at->second])) {
      kinds[at->second] = all.found[i];
      places[at->second] = i;
    }
  }
  std::vector<std::size_t> order(kinds.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (better(kinds[a], kinds[b])) return true;
    if (better(kinds[b], kinds[a])) return false;
    return places[a] < places[b];
  });
  std::vector<BruteForce::Found> out;
  for (const std::size_t k : order) {
    const bool twin = std::any_of(out.begin(), out.end(), [&](const BruteForce::Found& f) {
      return f.step == kinds[k].step && f.peak == kinds[k].peak;
    });
    if (!twin && out.size() < static_cast<std::size_t>(options.top)) out.push_back(kinds[k]);
  }
  return out;
}

/// The plans of `found` are the answer by definition, one by one and to the last bit.
void assert_is_answer(const PlanResult& found, const BruteForce& all,
                      const SearchOptions& options) {
  const auto expected = answer_of(all, options);
  RC_ASSERT(found.plans.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    RC_ASSERT(text(found.plans[i].layout) == text(expected[i].layout));
    RC_ASSERT(found.plans[i].prediction.step == expected[i].step);
    RC_ASSERT(peak_bytes(found.plans[i].prediction.memory) == expected[i].peak);
  }
}

BruteForce brute_force(const Problem& problem, const LayoutText& fixed,
                       const RefusingRule& refusing_rule = nullptr) {
  BruteForce out;
  const int devices = problem.cluster.devices();
  const SearchSpace space(problem.model, problem.workload, devices, fixed);
  PriceBook book(problem);
  space.for_each([&](const Layout& layout) {
    ++out.candidates;
    if (const auto rule = broken_rule(layout, problem.model, problem.workload, devices)) {
      ++out.rejected[std::string(name(*rule))];
      return;
    }
    if (const auto rule = refusing_rule ? refusing_rule(layout) : std::nullopt) {
      ++out.rejected[*rule];
      return;
    }
    const Plan plan = predict(book, layout);
    if (!plan.fits) {
      ++out.rejected["out_of_memory"];
      return;
    }
    ++out.feasible;
    out.found.push_back({layout, plan.prediction.step, peak_bytes(plan.prediction.memory)});
  });
  return out;
}

/// A model small enough that a few devices are a tight fit.
Problem random_problem() {
  static const char* const kClusters[] = {"dgx-a100-40gb:1/2", "dgx-h100:1/4", "l40s-pcie:1/4",
                                          "h100x4-slingshot:2"};
  // Habits that change what a step holds: when gradients are reduced, what waits for transfers.
  static const char* const kSoftware[] = {"", "", "torchtitan", "megatron-deepspeed-bf16"};
  Problem problem = training_problem("gpt2", kClusters[*rc::gen::inRange(0, 4)], 512, 1,
                                     kSoftware[*rc::gen::inRange(0, 4)]);
  Transformer& model = problem.model;
  model.layers = *rc::gen::inRange(2, 7);
  model.heads = *rc::gen::element(4, 6, 8);
  model.kv_heads = *rc::gen::element(model.heads, model.heads, 2);
  model.head_dim = 64;
  model.hidden = model.embedding_width = 64 * model.heads;
  model.ffn = 4 * model.hidden;
  if (*rc::gen::weightedElement<bool>({{2, false}, {1, true}})) {
    model.activation = Activation::SwiGlu;
    model.experts = Experts{.count = 4, .per_token = 2, .width = 128};
    model.experts->first_dense_layers = *rc::gen::element(0, 1);
  }
  problem.workload.global_batch = *rc::gen::element(2, 4, 6, 8);
  // From 8,192 tokens on sequences are cut as well.
  problem.workload.seq_len = *rc::gen::element(256, 1024, 1024, 8192, 16384);
  // From roomy to nothing fits.
  problem.cluster.device.memory =
      Bytes{*rc::gen::element(INT64_C(900'000'000), INT64_C(1'400'000'000), INT64_C(2'500'000'000),
                              INT64_C(8'000'000'000), INT64_C(24'000'000'000))};
  problem.profile.device.memory = problem.cluster.device.memory;
  problem.global_sync = *rc::gen::weightedElement<bool>({{3, true}, {1, false}});
  return problem;
}

/// Keys that keep some spaces small, and those that are in no space unless they are pinned.
LayoutText random_fix() {
  const auto keys = *rc::gen::element<std::string>(
      "", "recompute=none", "etp1,recompute=none", "ep2,recompute=full", "ep4,etp1", "zero3,hsdp=2",
      "zero1,hsdp=2,recompute=none", "cp_kind=ulysses", "cp2,sp",
      "order=tp-cp-pp-dp,recompute=selective", "order=dp-pp-cp-tp,recompute=none",
      "offload=optimizer,zero1", "offload=activations,recompute=none", "schedule=zb-v",
      "vpp2,schedule=interleaved", "mbs1,overlap=grad", "mbs1,overlap=grad+param+tp,sp", "tp2,pp2",
      "tp1,pp1,dp4", "pp2,dp1,schedule=gpipe");
  return keys.empty() ? LayoutText{} : read_layout_text(keys, "--fix");
}

TEST(Search, FindsWhatPredictingEveryLayoutFinds) {
  EXPECT_TRUE(rc::check([] {
    const Problem problem = random_problem();
    SearchOptions options;
    options.top = *rc::gen::element(1, 3, 10);
    options.distinct = *rc::gen::element(Distinct::Layouts, Distinct::Degrees);
    options.objective =
        *rc::gen::element(Objective::Throughput, Objective::Latency, Objective::Cost);
    options.fixed = random_fix();
    const BruteForce expected = brute_force(problem, options.fixed);
    const PlanResult found = search(problem, options);
    RC_ASSERT(found.search->candidates == expected.candidates);
    RC_ASSERT(found.search->feasible == expected.feasible);
    RC_ASSERT(found.search->rejected == expected.rejected);
    assert_is_answer(found, expected, options);
    if (expected.found.empty()) {
      RC_ASSERT(found.nearest_miss.has_value() || expected.rejected.count("out_of_memory") == 0);
    }
  }));
}

/// A framework whose rules touch every rank of the search: degrees, families, ZeRO stages, overlaps
/// and orders of axes.
std::optional<std::string> refused_by_strict_framework(const Layout& layout) {
  if (layout.tp > 2) return "small_tp";
  if (layout.schedule == ScheduleKind::ZbV) return "no_zero_bubble";
  if (layout.zero == 2) return "no_zero2";
  if (layout.overlap == Overlap::Grad && layout.pp > 1) return "no_overlap_in_pipelines";
  if (layout.order != Layout{}.order && layout.dp > 2) return "default_order";
  return std::nullopt;
}

TEST(Search, CountsAndLeavesOutWhatAFrameworkRefuses) {
  EXPECT_TRUE(rc::check([] {
    const Problem problem = random_problem();
    SearchOptions options;
    options.top = 2;
    options.objective = *rc::gen::element(Objective::Throughput, Objective::Memory);
    options.mend_miss = false;
    options.refusing_rule = refused_by_strict_framework;
    options.fixed = read_layout_text("recompute=none", "--fix");  // a third of the space
    const BruteForce expected = brute_force(problem, options.fixed, refused_by_strict_framework);
    const PlanResult found = search(problem, options);
    RC_ASSERT(found.search->candidates == expected.candidates);
    RC_ASSERT(found.search->feasible == expected.feasible);
    RC_ASSERT(found.search->rejected == expected.rejected);
    for (const Plan& plan : found.plans) RC_ASSERT(!refused_by_strict_framework(plan.layout));
    assert_is_answer(found, expected, options);
    // Every layout that one stands for is allowed: there are at least as many of equal figures.
    for (const Plan& plan : found.plans) {
      RC_ASSERT(plan.equivalent <=
                std::count_if(expected.found.begin(), expected.found.end(), [&](const auto& f) {
                  return f.step == plan.prediction.step &&
                         f.peak == peak_bytes(plan.prediction.memory);
                }));
    }
  }));
}

TEST(Search, ListsLayoutsOfEqualFiguresOnce) {
  // Inside one NVSwitch node it does not matter which of two equal axes has neighbouring ranks.
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 8192, 32);
  SearchOptions options;
  options.top = 10;
  const PlanResult found = search(problem, options);
  ASSERT_EQ(found.plans.size(), 10U);
  for (std::size_t i = 1; i < found.plans.size(); ++i) {
    const Prediction& before = found.plans[i - 1].prediction;
    const Prediction& here = found.plans[i].prediction;
    EXPECT_TRUE(before.step != here.step || peak_bytes(before.memory) != peak_bytes(here.memory))
        << text(found.plans[i - 1].layout) << " and " << text(found.plans[i].layout);
  }
}

TEST(Search, ListsALayoutInItsBestOrderOnly) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:4", 8192, 64);
  SearchOptions options;
  options.top = 20;
  std::set<std::string> layouts;
  bool reordered = false;
  for (const Plan& plan : search(problem, options).plans) {
    EXPECT_TRUE(layouts.insert(kind_of(plan.layout, Distinct::Layouts)).second)
        << text(plan.layout);
    reordered = reordered || plan.layout.order != Layout{}.order;
  }
  EXPECT_EQ(layouts.size(), 20U);
  EXPECT_TRUE(reordered);  // or the question does not tell
}

TEST(Search, ListsASetOfDegreesOnce) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 8192, 64);
  SearchOptions options;
  options.distinct = Distinct::Degrees;
  std::set<std::string> degrees;
  for (const Plan& plan : search(problem, options).plans) {
    EXPECT_TRUE(degrees.insert(kind_of(plan.layout, Distinct::Degrees)).second)
        << text(plan.layout);
  }
  EXPECT_EQ(degrees.size(), 10U);
}

TEST(Search, NothingIsLeftWhereEverythingIsRefused) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  SearchOptions options;
  options.refusing_rule = [](const Layout&) { return std::optional<std::string>("never"); };
  options.mend_miss = false;
  const PlanResult found = search(problem, options);
  EXPECT_TRUE(found.plans.empty());
  EXPECT_FALSE(found.nearest_miss.has_value());
  EXPECT_EQ(found.search->feasible, 0);
  EXPECT_GT(found.search->rejected.at("never"), 0);
}

TEST(Search, MemoryObjectiveFindsTheSmallestPeak) {
  EXPECT_TRUE(rc::check([] {
    const Problem problem = random_problem();
    SearchOptions options;
    options.objective = Objective::Memory;
    options.top = *rc::gen::element(1, 4);
    options.distinct = *rc::gen::element(Distinct::Layouts, Distinct::Degrees);
    options.fixed = read_layout_text("recompute=full", "--fix");  // a third of the space
    const BruteForce expected = brute_force(problem, options.fixed);
    RC_PRE(!expected.found.empty());
    assert_is_answer(search(problem, options), expected, options);
  }));
}

TEST(Search, BoundsNeverExceedWhatIsSimulated) {
  EXPECT_TRUE(rc::check([] {
    const Problem problem = random_problem();
    const SearchSpace space(problem.model, problem.workload, problem.cluster.devices());
    PriceBook book(problem);
    int seen = 0;
    space.for_each([&](Layout layout) {
      if (++seen % 7 != 0) return;  // a sample
      constexpr Offload kOffloads[] = {Offload::None, Offload::Activations, Offload::Optimizer};
      layout.offload = kOffloads[seen / 7 % 3];
      if (broken_rule(layout, problem.model, problem.workload, problem.cluster.devices())) return;
      const PreparedLayout prepared = prepare(book, layout);
      const Seconds bound =
          step_lower_bound(layout.schedule, prepared.costs, layout.pp, layout.chunks_per_stage(),
                           microbatches(layout, problem.workload), problem.global_sync);
      const SimulatedStep step = simulate_step(prepared.schedule, prepared.costs);
      RC_ASSERT(bound <= step.step * (1 + 1e-12));
      RC_ASSERT(unbeatable_step(problem) <= step.step);
    });
  }));
}

TEST(Search, NothingFitsNamesTheNearestMiss) {
  Problem problem = training_problem("llama-3-70b", "dgx-a100-40gb:1", 4096, 8);
  const PlanResult found = search(problem, {});
  EXPECT_TRUE(found.plans.empty());
  ASSERT_TRUE(found.nearest_miss.has_value());
  EXPECT_GT(found.nearest_miss->missing, Bytes{0});
  EXPECT_EQ(found.nearest_miss->missing,
            peak_bytes(found.nearest_miss->plan.prediction.memory) - problem.memory_limit());
  // The mend names more nodes and a layout that fits on them.
  EXPECT_NE(found.nearest_miss->cheapest_knob.find(" nodes instead of 1: "), std::string::npos);
}

TEST(Search, APinnedKeyIsTheCheapestMendWhereItAloneStandsInTheWay) {
  const Problem problem = training_problem("llama-3-8b", "dgx-h100:1", 4096, 8);
  SearchOptions options;
  options.fixed = read_layout_text("tp1,pp1,zero0", "--fix");
  const PlanResult found = search(problem, options);
  EXPECT_TRUE(found.plans.empty());
  ASSERT_TRUE(found.nearest_miss.has_value());
  EXPECT_TRUE(found.nearest_miss->cheapest_knob.starts_with("without --fix "));
}

}  // namespace
}  // namespace meshplan::planner
