#include "planner/export/launch.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "planner/export/canonical_layout.h"
#include "planner/export/framework_format.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/stage_split.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

/// The one place that knows all formats; as profiles/data/rules names the frameworks.
const std::array<const FrameworkFormat*, 11>& formats() {
  static const std::array<const FrameworkFormat*, 11> kFormats = {
      &kMegatronFormat,    &kDeepSpeedFormat, &kTorchTitanFormat,   &kFsdpFormat,
      &kPipeliningFormat,  &kGPipeFormat,     &kDataParallelFormat, &kVllmFormat,
      &kTensorRtLlmFormat, &kSglangFormat,    &kTgiFormat};
  return kFormats;
}

const FrameworkFormat& format_of(const TargetFramework& framework) {
  const auto at = std::find_if(formats().begin(), formats().end(),
                               [&](const auto* f) { return f->name == framework.name; });
  if (at == formats().end()) {
    throw std::logic_error("no format for the framework " + framework.name);
  }
  return **at;
}

/// Replicas of a server know nothing of each other: engines put the stages of one side by side,
/// whichever of the two the layout's order has inside the other.
Layout as_run(Layout layout, const Problem& problem) {
  const std::array<Axis, 4> pipeline_inside = {Axis::Tp, Axis::Cp, Axis::Pp, Axis::Dp};
  const bool serves = problem.workload.kind == Workload::Kind::Inference;
  if (serves && places_ranks_as(layout, Layout{}.order)) layout.order = pipeline_inside;
  return canonical(layout, problem.model);
}

/// Throws InputError at `where` for a degree that nothing can have.
Layout with_degrees(Layout layout, const std::string& where) {
  const int least = std::min({layout.tp, layout.pp, layout.dp, layout.cp, layout.ep, layout.mbs,
                              layout.vpp, layout.hsdp, layout.expert_tp()});
  if (least < 1) {
    throw profiles::InputError(where, "degrees of at least 1", std::to_string(least));
  }
  return layout;
}

}  // namespace

std::string launch_text(const TargetFramework& framework, const LaunchPlan& plan) {
  const FrameworkFormat& format = format_of(framework);
  std::string out = format.write(plan);
  const Layout read = format.read(out, plan.problem, framework.name);
  if (as_run(read, plan.problem) != as_run(plan.layout, plan.problem)) {
    throw std::logic_error("the " + framework.title + " configuration of " + text(plan.layout) +
                           " reads back as " + text(read));
  }
  return out;
}

Layout layout_from_launch(const TargetFramework& framework, std::string_view text,
                          const Problem& problem, const std::string& where) {
  return with_degrees(format_of(framework).read(text, problem, where), where);
}

std::vector<std::string> launch_keys(const TargetFramework& framework, std::string_view text,
                                     const std::string& where) {
  return format_of(framework).keys(text, where);
}

int ranks_of(int a, int b, const std::string& where) {
  constexpr std::int64_t kMost = 100'000'000;
  const std::int64_t ranks = std::int64_t{1} * a * b;
  if (ranks < 1 || ranks > kMost) {
    throw profiles::InputError(where, "1 to 100,000,000 ranks", std::to_string(ranks));
  }
  return static_cast<int>(ranks);
}

std::string comment_lines(const LaunchPlan& plan, std::string_view mark) {
  std::string out;
  for (const std::string& note : plan.notes) out += std::string(mark) + note + "\n";
  return out;
}

LaunchNodes launch_nodes(const LaunchPlan& plan) {
  const int world = plan.layout.devices();
  const int per_node = std::min(world, plan.problem.cluster.devices_used_per_node);
  return {world / per_node, per_node};
}

std::vector<int> layers_of_chunks(const LaunchPlan& plan) {
  return stage_split(plan.layout, plan.problem.model);
}

}  // namespace meshplan::planner
