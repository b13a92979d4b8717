#include "planner/search/search_space.h"

#include <algorithm>
#include <tuple>

namespace meshplan::planner {
namespace {

constexpr int kLargestMicrobatch = 64;

std::vector<int> divisors(int n, int most) {
  std::vector<int> out;
  for (int d = 1; d <= std::min(n, most); ++d) {
    if (n % d == 0) out.push_back(d);
  }
  return out;
}

std::vector<int> context_degrees(int devices, const Workload& workload) {
  std::vector<int> out = {1};
  for (int cp = 2; devices % cp == 0 && workload.seq_len / cp >= kContextTokens; cp *= 2) {
    out.push_back(cp);
  }
  return out;
}

/// The one value that was fixed, or all of `otherwise`.
template <typename T>
std::vector<T> fixed_or(bool fixed, T value, std::vector<T> otherwise) {
  if (fixed) return {value};
  return otherwise;
}

}  // namespace

SearchSpace::SearchSpace(const Transformer& model, const Workload& workload, int devices,
                         const LayoutText& fixed)
    : model_(model), fixed_(fixed) {
  const Layout& pinned = fixed_.layout;
  const auto tps = fixed_or(fixed_.has("tp"), pinned.tp, divisors(devices, model.heads));
  const auto pps = fixed_or(fixed_.has("pp"), pinned.pp, divisors(devices, model.layers + 2));
  const auto cps = fixed_or(fixed_.has("cp"), pinned.cp, context_degrees(devices, workload));
  for (const int tp : tps) {
    for (const int pp : pps) {
      for (const int cp : cps) {
        const std::int64_t others = std::int64_t{1} * tp * pp * cp;
        const int dp = fixed_.has("dp")        ? pinned.dp
                       : devices % others == 0 ? static_cast<int>(devices / others)
                                               : 0;
        if (dp != 0 && others * dp <= devices) add_degrees({tp, cp, pp, dp, 1, 1, {}}, workload);
      }
    }
  }
}

void SearchSpace::add_degrees(Degrees d, const Workload& workload) {
  const Layout& pinned = fixed_.layout;
  const bool pinned_width = fixed_.has("etp");
  if (pinned_width) d.etp = pinned.etp;
  const auto among = [&](int ranks) {
    if (fixed_.has("ep")) return std::vector<int>{pinned.ep};
    if (!model_.experts) return std::vector<int>{1};
    return divisors(model_.experts->count, ranks);
  };
  add_degrees(d, among(d.dp * d.cp * (pinned_width ? d.tp : 1)), workload);
  if (!model_.experts || d.tp == 1 || pinned_width) return;
  // Whole experts, which tensor parallelism's ranks share out as well.
  d.etp = 1;
  std::vector<int> eps = among(d.dp * d.cp * d.tp);
  std::erase_if(eps, [&](int ep) { return ep == 1 || d.dp * d.cp * d.tp % ep != 0; });
  add_degrees(d, eps, workload);
}

void SearchSpace::add_degrees(Degrees d, const std::vector<int>& eps, const Workload& workload) {
  const Layout& pinned = fixed_.layout;
  std::vector<int> batches = {1};
  if (fixed_.has("mbs")) {
    batches = {pinned.mbs};
  } else if (workload.global_batch % d.dp == 0) {
    batches = divisors(workload.global_batch / d.dp, kLargestMicrobatch);
  }
  for (const int ep : eps) {
    for (const int mbs : batches) {
      d.ep = ep;
      d.mbs = mbs;
      degrees_.push_back(d);
    }
  }
}

std::vector<PipelineChoice> SearchSpace::pipelines(const Degrees& d) const {
  const Layout& pinned = fixed_.layout;
  const bool vpp_pinned = fixed_.has("vpp");
  const bool schedule_pinned = fixed_.has("schedule");
  std::vector<PipelineChoice> all = {{ScheduleKind::OneFOneB, 1}};
  if (d.pp > 1) {
    for (const ScheduleKind kind :
         {ScheduleKind::GPipe, ScheduleKind::ZbH1, ScheduleKind::ZbH2, ScheduleKind::ZbV}) {
      all.push_back({kind, 1});
    }
    for (int vpp = 2; d.pp * vpp <= model_.layers + 2; ++vpp) {
      const int chunks = d.pp * vpp;
      const bool even = model_.layers % chunks == 0 || (model_.layers + 2) % chunks == 0;
      if (even || (vpp_pinned && vpp == pinned.vpp)) {
        all.push_back({ScheduleKind::Interleaved, vpp});
      }
    }
  }
  const auto excluded = [&](const PipelineChoice& choice) {
    if (vpp_pinned && choice.vpp != pinned.vpp) return true;
    return schedule_pinned && choice.schedule != pinned.schedule;
  };
  std::erase_if(all, excluded);
  // A pinned combination that makes no sense under these degrees still is a layout, to be rejected.
  if (all.empty()) all.push_back({pinned.schedule, pinned.vpp});
  return all;
}

std::vector<bool> SearchSpace::sequence_parallel(const Degrees& d) const {
  if (d.tp == 1) return {false};
  if (fixed_.has("sp")) return {true};
  return {false, true};
}

std::vector<Recompute> SearchSpace::recomputes(const Degrees&) const {
  return fixed_or(fixed_.has("recompute"), fixed_.layout.recompute,
                  {Recompute::None, Recompute::Selective, Recompute::Full});
}

std::vector<int> SearchSpace::zero_stages(const Degrees& d) const {
  if (d.dp * d.cp == 1) return {0};
  return fixed_or(fixed_.has("zero"), fixed_.layout.zero, {0, 1, 2, 3});
}

std::vector<Overlap> SearchSpace::overlaps(const Degrees& d, bool sp, int zero) const {
  if (fixed_.has("overlap")) return {fixed_.layout.overlap};
  std::vector<Overlap> out = {Overlap::None};
  // ZeRO-2 and 3 reduce layer by layer beside backward and ZeRO-3 gathers so, whatever this says.
  const bool replicated = d.dp * d.cp > 1;
  if (replicated && zero <= 1) out.push_back(Overlap::Grad);
  if (replicated && (zero == 1 || zero == 2)) out.push_back(Overlap::GradParam);
  // Frameworks overlap tensor-parallel communication with sequence parallelism only.
  if (sp) out.push_back(Overlap::GradParamTp);
  return out;
}

std::vector<ContextKind> SearchSpace::context_kinds(const Degrees& d) const {
  if (fixed_.has("cp_kind")) return {fixed_.layout.cp_kind};
  if (d.cp == 1) return {ContextKind::Ring};
  std::vector<ContextKind> out = {ContextKind::Ring, ContextKind::AllGather};
  if (model_.heads % (d.tp * d.cp) == 0) out.push_back(ContextKind::Ulysses);
  return out;
}

std::vector<std::array<Axis, 4>> SearchSpace::orders(const Degrees& d) const {
  const Layout defaults;
  if (fixed_.has("order")) return {fixed_.layout.order};
  const auto degree = [&](Axis axis) {
    switch (axis) {
      case Axis::Tp:
        return d.tp;
      case Axis::Cp:
        return d.cp;
      case Axis::Dp:
        return d.dp;
      case Axis::Pp:
        return d.pp;
    }
    return 1;
  };
  // Axes of degree 1 keep their default places; the others take all permutations of theirs.
  std::vector<std::size_t> places;
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < defaults.order.size(); ++i) {
    if (degree(defaults.order[i]) > 1) {
      places.push_back(i);
      axes.push_back(defaults.order[i]);
    }
  }
  std::vector<std::array<Axis, 4>> out;
  do {
    std::array<Axis, 4> order = defaults.order;
    for (std::size_t i = 0; i < places.size(); ++i) order[places[i]] = axes[i];
    out.push_back(order);
  } while (std::next_permutation(axes.begin(), axes.end()));
  return out;
}

std::int64_t SearchSpace::size_under(const Degrees& d) const {
  std::int64_t out = 0;
  for (const bool sp : sequence_parallel(d)) {
    for (const int zero : zero_stages(d)) {
      out += static_cast<std::int64_t>(overlaps(d, sp, zero).size());
    }
  }
  return out * static_cast<std::int64_t>(pipelines(d).size() * recomputes(d).size() *
                                         context_kinds(d).size() * orders(d).size());
}

std::int64_t SearchSpace::size() const {
  std::int64_t out = 0;
  for (const Degrees& d : degrees_) out += size_under(d);
  return out;
}

Layout SearchSpace::layout(const Degrees& d, const PipelineChoice& pipeline, bool sp,
                           Recompute recompute, int zero, Overlap overlap, ContextKind kind,
                           const std::array<Axis, 4>& order) const {
  Layout out = fixed_.layout;
  out.tp = d.tp;
  out.cp = d.cp;
  out.pp = d.pp;
  out.dp = d.dp;
  out.ep = d.ep;
  out.etp = d.etp;
  out.mbs = d.mbs;
  out.schedule = pipeline.schedule;
  out.vpp = pipeline.vpp;
  out.sp = sp;
  out.recompute = recompute;
  out.zero = zero;
  out.overlap = overlap;
  out.cp_kind = kind;
  out.order = order;
  return out;
}

void SearchSpace::for_each(const std::function<void(const Layout&)>& visit) const {
  for (const Degrees& d : degrees_) {
    for (const PipelineChoice& pipeline : pipelines(d)) {
      for (const bool sp : sequence_parallel(d)) {
        for (const Recompute recompute : recomputes(d)) {
          for (const int zero : zero_stages(d)) {
            for (const Overlap overlap : overlaps(d, sp, zero)) {
              for (const ContextKind kind : context_kinds(d)) {
                for (const auto& order : orders(d)) {
                  visit(layout(d, pipeline, sp, recompute, zero, overlap, kind, order));
                }
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace meshplan::planner
