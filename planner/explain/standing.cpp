#include "planner/explain/standing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "planner/cluster/group_shape.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/uncertainty.h"
#include "profiles/number_format.h"

namespace meshplan::planner {

namespace {

using profiles::human;
using profiles::Seconds;

/// The slower of two plans and the faster one, for the sentence.
struct Pair {
  const Problem& problem;
  const Plan& slow;
  const Plan& fast;
  [[nodiscard]] const Layout& s() const { return slow.layout; }
  [[nodiscard]] const Layout& f() const { return fast.layout; }
};

/// Layers of the longest stage over an even share.
double unevenness(const Plan& plan) {
  int most = 0, all = 0;
  for (const StageLayers& stage : plan.stages) {
    int layers = 0;
    for (const auto& chunk : stage.chunks) layers += chunk.layers;
    most = std::max(most, layers);
    all += layers;
  }
  return all == 0 ? 1 : static_cast<double>(most) * plan.layout.pp / all;
}

std::string crosses(const char* groups, const GroupShape& slow, const GroupShape& fast) {
  if (slow.nodes <= fast.nodes) return "";
  return fmt::format("{} groups reach over {} nodes instead of {}", groups, slow.nodes, fast.nodes);
}

std::string compute_cause(const Pair& p) {
  if (p.s().devices() < p.f().devices()) {
    return fmt::format("it uses {} devices instead of {}", p.s().devices(), p.f().devices());
  }
  if (p.s().recompute > p.f().recompute) {
    return p.s().recompute == Recompute::Full
               ? "recompute=full runs every forward again"
               : "recompute=selective runs the core of attention again";
  }
  const double uneven = unevenness(p.slow);
  constexpr double kWorthNaming = 1.02;
  if (uneven > kWorthNaming * unevenness(p.fast)) {
    return fmt::format("its longest stage holds {:.0f}% more layers than an even share",
                       100 * (uneven - 1));
  }
  if (p.s().mbs < p.f().mbs) {
    return fmt::format("micro-batches of {} instead of {} make smaller matrix products", p.s().mbs,
                       p.f().mbs);
  }
  if (p.s().tp > p.f().tp) {
    return fmt::format("tp{} instead of tp{} makes narrower matrix products", p.s().tp, p.f().tp);
  }
  if (p.s().tp > 1 && !p.s().sp && p.f().sp) return "without sp every rank norms all tokens";
  return "";
}

std::string tp_cause(const Pair& p) {
  std::string out = crosses("its tensor-parallel", group_shape(p.s(), Axis::Tp, p.problem.cluster),
                            group_shape(p.f(), Axis::Tp, p.problem.cluster));
  if (out.empty() && p.s().tp > p.f().tp) {
    out = p.f().tp == 1
              ? fmt::format("tp{} exchanges activations in every layer, tp1 none", p.s().tp)
              : fmt::format("tp{} instead of tp{} exchanges activations among more ranks", p.s().tp,
                            p.f().tp);
  }
  if (p.s().overlap != Overlap::GradParamTp && p.f().overlap == Overlap::GradParamTp) {
    out += out.empty() ? "" : ", and ";
    out += fmt::format("overlap={} hides none of it behind compute", name(p.s().overlap));
  }
  if (out.empty() && p.s().recompute > p.f().recompute) {
    out = "recomputation repeats its collectives";
  }
  if (out.empty() && p.s().tp == p.f().tp && p.s().replicas() < p.f().replicas()) {
    out = fmt::format("each group handles the sequences of {} replicas instead of {}",
                      p.s().replicas(), p.f().replicas());
  }
  return out;
}

std::string cp_cause(const Pair& p) {
  const std::string far =
      crosses("its context-parallel", group_shape(p.s(), Axis::Cp, p.problem.cluster),
              group_shape(p.f(), Axis::Cp, p.problem.cluster));
  if (!far.empty()) return far;
  if (p.s().cp > p.f().cp) {
    return fmt::format("cp{} instead of cp{} passes keys and values on", p.s().cp, p.f().cp);
  }
  return "";
}

std::string ep_cause(const Pair& p) {
  const std::string far =
      crosses("its expert-parallel", expert_group_shape(p.s(), p.problem.cluster),
              expert_group_shape(p.f(), p.problem.cluster));
  if (!far.empty()) return far;
  if (p.s().ep > p.f().ep) {
    return fmt::format("ep{} instead of ep{} sends tokens to more ranks", p.s().ep, p.f().ep);
  }
  return "";
}

std::string dp_cause(const Pair& p) {
  if (p.s().zero > p.f().zero && p.s().zero >= 2) {
    return p.s().zero == 3 ? "zero3 gathers every layer's parameters for each pass"
                           : "zero2 reduces gradients in every micro-batch";
  }
  if (p.s().overlap < p.f().overlap) {
    return fmt::format("overlap={} leaves it in the open", name(p.s().overlap));
  }
  const std::string far =
      crosses("its data-parallel", replica_group_shape(p.s(), p.problem.cluster),
              replica_group_shape(p.f(), p.problem.cluster));
  if (!far.empty()) return far;
  const int slow_cut = p.s().tp * p.s().pp;
  const int fast_cut = p.f().tp * p.f().pp;
  if (slow_cut < fast_cut && p.s().replicas() > 1) {
    return fmt::format("each rank reduces 1/{} of the gradients instead of 1/{}", slow_cut,
                       fast_cut);
  }
  return "";
}

std::string pp_cause(const Pair& p) {
  if (p.s().chunks() > p.f().chunks()) {
    return fmt::format("{} hops between chunks instead of {}", p.s().chunks() - 1,
                       p.f().chunks() - 1);
  }
  return "";
}

/// Warm-up and drain of a schedule without split backward, over its work: (p - 1) / (m v).
double ramp(const Layout& l, const Workload& workload) {
  const double m = std::max(1, microbatches(l, workload));
  return (l.pp - 1) / (m * l.chunks_per_stage());
}

bool splits_backward(ScheduleKind kind) {
  return kind == ScheduleKind::ZbH1 || kind == ScheduleKind::ZbH2 || kind == ScheduleKind::ZbV;
}

std::string bubble_cause(const Pair& p) {
  const Workload& workload = p.problem.workload;
  const auto words = [&](const Layout& l) {
    return l.chunks_per_stage() > 1
               ? fmt::format("{} stages of {} chunks for {} micro-batches", l.pp,
                             l.chunks_per_stage(), microbatches(l, workload))
               : fmt::format("{} stages for {} micro-batches", l.pp, microbatches(l, workload));
  };
  if (p.f().pp == 1 && p.s().pp > 1) return words(p.s()) + ", the other has no pipeline";
  if (splits_backward(p.f().schedule) && !splits_backward(p.s().schedule)) {
    return fmt::format("{} fills it with weight gradients, {} does not", name(p.f().schedule),
                       name(p.s().schedule));
  }
  constexpr double kWorthNaming = 1.05;
  if (ramp(p.s(), workload) > kWorthNaming * ramp(p.f(), workload)) {
    return fmt::format("{}, the other has {}", words(p.s()), words(p.f()));
  }
  if (unevenness(p.slow) > 1.02 * unevenness(p.fast)) return "its stages wait for the longest one";
  return "";
}

std::string optimizer_cause(const Pair& p) {
  const auto share = [](const Layout& l) {
    return static_cast<double>(l.tp) * l.pp * (l.zero >= 1 ? l.shards() : 1);
  };
  if (p.s().zero == 0 && p.f().zero >= 1) return "zero0 updates every parameter on every replica";
  if (share(p.s()) < share(p.f())) {
    return fmt::format("each rank updates 1/{} of the parameters instead of 1/{}",
                       static_cast<std::int64_t>(share(p.s())),
                       static_cast<std::int64_t>(share(p.f())));
  }
  return "";
}

std::string overhead_cause(const Pair& p) {
  const int mine = microbatches(p.s(), p.problem.workload);
  const int other = microbatches(p.f(), p.problem.workload);
  if (mine > other) {
    return fmt::format("{} micro-batches are launched instead of {}", mine, other);
  }
  return "";
}

std::string cause_of(const NamedTerm& term, const Pair& p) {
  using Cause = std::string (*)(const Pair&);
  constexpr std::array<Cause, 9> kCauses = {compute_cause,   tp_cause,       cp_cause,
                                            ep_cause,        pp_cause,       dp_cause,
                                            optimizer_cause, overhead_cause, bubble_cause};
  return kCauses[static_cast<std::size_t>(&term - kTerms.data())](p);
}

struct Loss {
  const NamedTerm* term;
  Seconds seconds;
};

std::string sentence(const Problem& problem, const Plan& plan, const Plan& best) {
  const Seconds difference = plan.prediction.step - best.prediction.step;
  const double relative = std::abs(difference / best.prediction.step);
  constexpr double kSame = 5e-4;
  if (plan.layout == best.layout) return "It is the best layout.";
  if (relative < kSame) return "As fast as the best.";
  const bool slower = difference > Seconds{0};
  const Pair pair{problem, slower ? plan : best, slower ? best : plan};
  std::vector<Loss> losses;
  for (const NamedTerm& term : kTerms) {
    losses.push_back(
        {&term, pair.slow.prediction.terms.*term.value - pair.fast.prediction.terms.*term.value});
  }
  std::stable_sort(losses.begin(), losses.end(),
                   [](const Loss& a, const Loss& b) { return a.seconds > b.seconds; });
  Seconds lost{0};
  for (const Loss& loss : losses) lost += std::max(loss.seconds, Seconds{0});
  std::string out =
      fmt::format("{} ({:.1f}%) {}", human(slower ? difference : -difference), 100 * relative,
                  slower ? "slower than the best: "
                         : "faster than the best of the searched space, which spends ");
  Seconds named{0};
  constexpr double kEnough = 0.8;
  for (const Loss& loss : losses) {
    if (loss.seconds <= Seconds{0} || named >= kEnough * lost) break;
    if (named > Seconds{0}) out += "; ";
    out += fmt::format("{} more {}", human(loss.seconds), loss.term->words);
    const std::string cause = cause_of(*loss.term, pair);
    if (!cause.empty()) out += " (" + cause + ")";
    named += loss.seconds;
  }
  const Loss& gain = losses.back();
  constexpr double kWorthNaming = 0.1;
  if (-gain.seconds >= kWorthNaming * (pair.slow.prediction.step - pair.fast.prediction.step)) {
    out +=
        fmt::format("; {} less {} makes up for some of it", human(-gain.seconds), gain.term->words);
  }
  return out + ".";
}

}  // namespace

Standing standing(const Problem& problem, const Plan& plan, const Plan& best) {
  const Prediction& mine = plan.prediction;
  const Prediction& other = best.prediction;
  Standing out{plan.layout, best.layout, mine.step, other.step, mine.terms, other.terms};
  out.order_chance = order_chance(problem, plan.layout, mine, best.layout, other);
  out.why = sentence(problem, plan, best);
  return out;
}

}  // namespace meshplan::planner
