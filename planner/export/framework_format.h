#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "planner/export/launch.h"

namespace meshplan::planner {

/// How one framework's configurations are written and read: one file a framework, one line in the
/// table of launch.cpp.
struct FrameworkFormat {
  std::string_view name;
  std::string (*write)(const LaunchPlan& plan);
  Layout (*read)(std::string_view text, const Problem& problem, const std::string& where);
  std::vector<std::string> (*keys)(std::string_view text, const std::string& where);
};

extern const FrameworkFormat kMegatronFormat;
extern const FrameworkFormat kDeepSpeedFormat;
extern const FrameworkFormat kTorchTitanFormat;
extern const FrameworkFormat kFsdpFormat;
extern const FrameworkFormat kPipeliningFormat;
extern const FrameworkFormat kGPipeFormat;
extern const FrameworkFormat kDataParallelFormat;
extern const FrameworkFormat kVllmFormat;
extern const FrameworkFormat kTensorRtLlmFormat;
extern const FrameworkFormat kSglangFormat;
extern const FrameworkFormat kTgiFormat;

/// The notes of a plan as comment lines.
std::string comment_lines(const LaunchPlan& plan, std::string_view mark = "# ");

/// Where the ranks of a layout run: as many as fit on each node.
struct LaunchNodes {
  int nodes = 1, per_node = 1;
};
LaunchNodes launch_nodes(const LaunchPlan& plan);

/// `a` times `b` ranks. Throws InputError at `where` if there cannot be so many.
int ranks_of(int a, int b, const std::string& where);

/// Layers of each chunk; the default split where the layout does not say.
std::vector<int> layers_of_chunks(const LaunchPlan& plan);

}  // namespace meshplan::planner
