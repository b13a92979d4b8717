#include "planner/simulate/gantt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "planner/schedule/dependencies.h"
#include "planner/simulate/instruction_label.h"
#include "planner/simulate/terms.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

struct Bar {
  int rank = 0;
  const Instruction* instruction = nullptr;
  Seconds start{0}, end{0};
};

/// Compute and optimizer of the step, one bar an instruction.
std::vector<Bar> bars_of(const Schedule& schedule, const Timeline& timeline, int step) {
  std::vector<Bar> bars;
  for (const Span& span : timeline.spans) {
    if (span.stream != Stream::Compute || span.step != step) continue;
    const Instruction* in = &schedule.programs[span.rank][span.instruction];
    if (in->action == Action::OptimizerSync) continue;
    if (!bars.empty() && bars.back().rank == span.rank && bars.back().instruction == in)
      bars.back().end = span.end;
    else
      bars.push_back({span.rank, in, span.start, span.end});
  }
  std::erase_if(bars, [](const Bar& bar) { return bar.end <= bar.start; });
  return bars;
}

const char* colour_of(Action action) {
  if (action == Action::Forward || action == Action::Recompute) return "\x1b[34m";
  if (gives_input_grad(action)) return "\x1b[32m";
  if (action == Action::WeightGrad) return "\x1b[33m";
  return "\x1b[35m";
}

}  // namespace

std::string gantt(const Schedule& schedule, const Timeline& timeline, const GanttOptions& options) {
  const std::vector<Bar> bars = bars_of(schedule, timeline, options.step);
  if (bars.empty()) return "nothing takes any time in this step\n";
  Seconds origin = bars[0].start, last = bars[0].end, unit = bars[0].end - bars[0].start;
  std::size_t width = 0;  // of a label
  for (const Bar& bar : bars) {
    origin = std::min(origin, bar.start);
    last = std::max(last, bar.end);
    unit = std::min(unit, bar.end - bar.start);
    width = std::max(width, instruction_label(*bar.instruction).size());
  }
  unit = std::max(unit, (last - origin) / options.max_cells);
  const auto column = [&](Seconds time) {
    return static_cast<std::size_t>(std::lround((time - origin) / unit)) * (width + 1);
  };
  const std::size_t rank_width = fmt::formatted_size("{}", timeline.ranks - 1);

  std::string out;
  auto bar = bars.begin();
  for (int rank = 0; rank < timeline.ranks; ++rank) {
    out += fmt::format("rank {:>{}} | ", rank, rank_width);
    std::size_t at = 0;
    for (; bar != bars.end() && bar->rank == rank; ++bar) {
      const std::size_t from = column(bar->start), to = column(bar->end);
      if (from < at || to <= from) continue;  // too short at this scale
      out.append(from - at, ' ');
      std::string cell = instruction_label(*bar->instruction);
      cell.resize(to - from - 1, '-');
      out += options.colour ? fmt::format("{}{}\x1b[0m ", colour_of(bar->instruction->action), cell)
                            : cell + ' ';
      at = to;
    }
    while (out.back() == ' ') out.pop_back();
    out += '\n';
  }
  return out + fmt::format("one cell = {:.4g} s\n", unit.count());
}

}  // namespace meshplan::planner
