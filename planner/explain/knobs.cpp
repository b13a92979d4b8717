#include "planner/explain/knobs.h"

#include <fmt/format.h>

#include <algorithm>

#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

constexpr int kLargestMicrobatch = 64;
constexpr int kLargestContext = 64;

std::vector<int> divisors(std::int64_t n, int most) {
  std::vector<int> out;
  for (int d = 1; d <= most && d <= n; ++d) {
    if (n % d == 0) out.push_back(d);
  }
  return out;
}

std::int64_t devices_of(const Layout& l) { return std::int64_t{1} * l.tp * l.pp * l.dp * l.cp; }

/// Drops what `changed` gives no meaning any more.
Layout tidied(Layout changed, const Layout& before) {
  if (changed.pp == 1) {
    changed.vpp = 1;
    changed.schedule = ScheduleKind::OneFOneB;
  }
  if (changed.chunks() != before.chunks()) changed.stages.clear();
  if (changed.tp == 1) changed.sp = false;
  if (before.sp && !changed.sp && changed.overlap == Overlap::GradParamTp) {
    changed.overlap = Overlap::GradParam;
  }
  if (changed.replicas() == 1 && before.replicas() > 1) {
    changed.zero = 0;
    changed.hsdp = 1;
    if (changed.overlap != Overlap::GradParamTp) changed.overlap = Overlap::None;
  }
  if (changed.zero == 0) changed.hsdp = 1;
  return normalised(changed);
}

}  // namespace

std::vector<KnobTurn> knob_turns(const Layout& layout, const Problem& problem,
                                 bool with_too_many_devices) {
  const Transformer& model = problem.model;
  std::vector<KnobTurn> out;
  const std::int64_t wanted = devices_of(layout);
  const std::int64_t all = problem.cluster.devices();
  const auto turn = [&](const char* knob, std::string value, auto&& change) {
    Layout changed = layout;
    change(changed);
    changed = tidied(std::move(changed), layout);
    const std::int64_t devices = devices_of(changed);
    if (changed == layout || (devices > all && devices > wanted)) return;
    if (devices > all && !with_too_many_devices && devices == wanted) return;
    out.push_back({knob, std::move(value), std::move(changed)});
  };
  const auto number = [](const char* knob, int value) { return fmt::format("{}{}", knob, value); };

  const auto degrees = [&](int most) {
    std::vector<int> out_of = divisors(std::min(wanted, all), most);
    for (const int d : divisors(all, most)) out_of.push_back(d);
    std::sort(out_of.begin(), out_of.end());
    out_of.erase(std::unique(out_of.begin(), out_of.end()), out_of.end());
    return out_of;
  };
  const auto follow = [&](Layout& l) {
    const std::int64_t others = std::int64_t{1} * l.tp * l.pp * l.cp;
    for (const std::int64_t devices : {std::min(wanted, all), all}) {
      if (devices % others != 0) continue;
      l.dp = static_cast<int>(devices / others);
      return;
    }
  };
  for (const int tp : degrees(model.heads)) {
    if (tp == layout.tp) continue;
    turn("tp", number("tp", tp), [&](Layout& l) { l.tp = tp, follow(l); });
  }
  for (const int pp : degrees(model.layers + 2)) {
    if (pp == layout.pp) continue;
    turn("pp", number("pp", pp), [&](Layout& l) { l.pp = pp, follow(l); });
  }
  for (const int cp : degrees(kLargestContext)) {
    if (cp == layout.cp) continue;
    turn("cp", number("cp", cp), [&](Layout& l) { l.cp = cp, follow(l); });
  }
  std::vector<int> replicas = divisors(problem.workload.global_batch, layout.dp - 1);
  Layout filling = layout;
  follow(filling);
  if (filling.dp < layout.dp) replicas.push_back(filling.dp);
  for (const int dp : replicas) {
    turn("dp", number("dp", dp), [&](Layout& l) { l.dp = dp; });
  }

  const bool cuts_batch = problem.workload.global_batch % layout.dp == 0;
  for (const int mbs :
       divisors(cuts_batch ? problem.workload.global_batch / layout.dp : 1, kLargestMicrobatch)) {
    turn("mbs", number("mbs", mbs), [&](Layout& l) { l.mbs = mbs; });
  }
  if (layout.pp > 1) {
    for (const ScheduleKind kind : {ScheduleKind::OneFOneB, ScheduleKind::GPipe, ScheduleKind::ZbH1,
                                    ScheduleKind::ZbH2, ScheduleKind::ZbV}) {
      turn("schedule", fmt::format("schedule={}", name(kind)),
           [&](Layout& l) { l.schedule = kind, l.vpp = 1; });
    }
    for (int vpp = 2; layout.pp * vpp <= model.layers + 2; ++vpp) {
      const int chunks = layout.pp * vpp;
      if (model.layers % chunks != 0 && (model.layers + 2) % chunks != 0) continue;
      turn("vpp", number("vpp", vpp),
           [&](Layout& l) { l.vpp = vpp, l.schedule = ScheduleKind::Interleaved; });
    }
  } else {
    turn("schedule", "schedule=1f1b", [&](Layout&) {});  // tidied
  }
  turn("vpp", "vpp1", [&](Layout& l) {
    l.vpp = 1;
    if (l.schedule == ScheduleKind::Interleaved) l.schedule = ScheduleKind::OneFOneB;
  });
  turn("sp", layout.sp ? "no sp" : "sp", [&](Layout& l) { l.sp = !l.sp; });
  for (const Recompute recompute : {Recompute::None, Recompute::Selective, Recompute::Full}) {
    turn("recompute", fmt::format("recompute={}", name(recompute)),
         [&](Layout& l) { l.recompute = recompute; });
  }
  if (layout.replicas() > 1) {
    for (int zero = 0; zero <= 3; ++zero)
      turn("zero", number("zero", zero), [&](Layout& l) { l.zero = zero; });
  }
  if (layout.hsdp > 1) {
    for (const int hsdp : divisors(layout.replicas(), layout.hsdp)) {
      turn("hsdp", fmt::format("hsdp={}", hsdp), [&](Layout& l) { l.hsdp = hsdp; });
    }
  }
  if (layout.ep > 1 || model.experts) {
    for (const int ep : divisors(model.experts ? model.experts->count : 1, 1024)) {
      turn("ep", number("ep", ep), [&](Layout& l) { l.ep = ep; });
    }
  }
  if (layout.etp) turn("etp", "etp as tp", [&](Layout& l) { l.etp.reset(); });
  if (model.experts && layout.expert_tp() > 1) {
    turn("etp", "etp1", [&](Layout& l) { l.etp = 1; });
  }
  if (!layout.stages.empty())
    turn("stages", "a balanced split", [&](Layout& l) { l.stages.clear(); });
  return out;
}

std::string changed_keys(const Layout& from, const Layout& to) {
  std::string out;
  const auto add = [&](bool differs, const std::string& text) {
    if (differs) out += (out.empty() ? "" : ", ") + text;
  };
  add(from.tp != to.tp, fmt::format("tp{}", to.tp));
  add(from.pp != to.pp, fmt::format("pp{}", to.pp));
  add(from.dp != to.dp, fmt::format("dp{}", to.dp));
  add(from.mbs != to.mbs, fmt::format("mbs{}", to.mbs));
  add(from.cp != to.cp, fmt::format("cp{}", to.cp));
  add(from.ep != to.ep, fmt::format("ep{}", to.ep));
  add(from.expert_tp() != to.expert_tp() && (from.etp || to.etp),
      fmt::format("etp{}", to.expert_tp()));
  add(from.vpp != to.vpp, fmt::format("vpp{}", to.vpp));
  add(from.sp != to.sp, to.sp ? "sp" : "no sp");
  add(from.recompute != to.recompute, fmt::format("recompute={}", name(to.recompute)));
  add(from.zero != to.zero, fmt::format("zero{}", to.zero));
  add(from.hsdp != to.hsdp, fmt::format("hsdp={}", to.hsdp));
  add(from.overlap != to.overlap, fmt::format("overlap={}", name(to.overlap)));
  add(from.cp_kind != to.cp_kind, fmt::format("cp_kind={}", name(to.cp_kind)));
  add(from.offload != to.offload, fmt::format("offload={}", name(to.offload)));
  add(from.order != to.order, "order=" + order_name(to.order));
  const bool implied = from.vpp != to.vpp && (to.schedule == ScheduleKind::Interleaved ||
                                              to.schedule == ScheduleKind::OneFOneB);
  add(from.schedule != to.schedule && !implied, fmt::format("schedule={}", name(to.schedule)));
  add(from.stages != to.stages, "a balanced split");
  return out;
}

}  // namespace meshplan::planner
