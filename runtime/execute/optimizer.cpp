#include "runtime/execute/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "planner/layout/stage_split.h"

namespace meshplan::runtime {
namespace {

/// [begin, end) of a segment's gradients, in elements.
struct Range {
  std::int64_t begin = 0, end = 0;
};

/// Whether this rank counts `p`: of several copies one does.
bool counts(const RankContext& context, const Segment& segment, const Parameter& p) {
  const Coordinates& here = context.groups.here;
  if (segment.shards == 1 && here.dp != 0) return false;
  if (segment.tied_table && here.pp != planner::owner_of_chunk(context.layout(), 0)) return false;
  switch (p.copies) {
    case Copies::None:
      return true;
    case Copies::AllRanks:
      return here.tp == 0;
    case Copies::SameKvHeads:
      return context.groups.same_kv_heads->rank() == 0;
  }
  return false;
}

/// Rows of a parameter's part as ranges; neighbours join across the zeros of alignment.
std::vector<Range> ranges_of(const RankContext& context, const ModelState& state, int segment) {
  const Segment& s = state.segments[segment];
  std::vector<Range> ranges;
  for (const Parameter& p : state.parameters) {
    if (p.segment != segment || !counts(context, s, p)) continue;
    const kernels::TensorView& g = p.part.gradient;
    const std::int64_t begin = static_cast<const float*>(g.data) - s.gradients.data();
    for (std::int64_t r = 0; r < g.rows; ++r) {
      ranges.push_back({begin + r * g.row_stride, begin + r * g.row_stride + g.cols});
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    constexpr std::int64_t kAlignment = 16;
    if (!joined.empty() && range.begin - joined.back().end < kAlignment) {
      joined.back().end = range.end;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

}  // namespace

OptimizerState::OptimizerState(RankContext& context, ModelState& state)
    : context_(context), state_(state) {
  for (std::size_t i = 0; i < state_.segments.size(); ++i) {
    const Segment& segment = state_.segments[i];
    const float* base = segment.gradients.data();
    const int shard = segment.shards > 1 ? context.groups.here.dp : 0;
    for (const Range& range : ranges_of(context, state, static_cast<int>(i))) {
      for (int b = 0; b < segment.buckets; ++b) {
        const Buffer part = segment.shard(segment.gradients, b, shard);
        const std::span<float> mine(static_cast<float*>(part.data), part.count);
        const std::int64_t first = mine.data() - base;
        const std::int64_t begin = std::max(range.begin, first);
        const std::int64_t end =
            std::min(range.end, first + static_cast<std::int64_t>(mine.size()));
        if (begin < end) counted_.push_back(mine.subspan(begin - first, end - begin));
      }
    }
  }
}

double OptimizerState::global_norm() {
  const Tensor sum = context_.tensor(1, 2, MemoryTerm::Workspace);  // one double
  context_.run(kernels::Fill{sum.view(), 0.0F});
  for (const std::span<float> piece : counted_) {
    context_.run(
        kernels::SumOfSquares{kernels::vector_view(static_cast<const float*>(piece.data()),
                                                   static_cast<std::int64_t>(piece.size())),
                              reinterpret_cast<double*>(sum.data())});
  }
  double squares = 0;
  context_.device.download(sum.data(), std::as_writable_bytes(std::span(&squares, 1)));
  // A double as the sum of two floats, for a collective of floats.
  std::array<float, 2> parts = {static_cast<float>(squares), 0};
  parts[1] = static_cast<float>(squares - parts[0]);
  const Tensor total = context_.tensor(1, 2, MemoryTerm::Workspace);
  context_.device.upload(std::as_bytes(std::span(parts)), total.data());
  Communicator& world = context_.device.world();
  context_.recorder.idle([&] { world.barrier(); });
  context_.recorder.mark_step();
  if (world.size() > 1) {
    context_.recorder.transferred(planner::Stream::DataParallel, world,
                                  [&] { world.all_reduce(total.buffer(), Reduction::Sum); });
  }
  context_.device.download(total.data(), std::as_writable_bytes(std::span(parts)));
  return std::sqrt(static_cast<double>(parts[0]) + static_cast<double>(parts[1]));
}

void OptimizerState::step(std::int64_t step, float gradient_scale) {
  const TrainingOptions& options = context_.training.options;
  for (Segment& s : state_.segments) {
    const int shard = s.shards > 1 ? context_.groups.here.dp : 0;
    for (int b = 0; b < s.buckets; ++b) {
      const kernels::TensorView values = row_view(s.shard(s.values, b, shard));
      const bool apart = !s.master.empty();
      context_.run(kernels::AdamW{.parameter = apart ? row_view(s.moments(s.master, b)) : values,
                                  .first_moment = row_view(s.moments(s.first_moment, b)),
                                  .second_moment = row_view(s.moments(s.second_moment, b)),
                                  .gradient = row_view(s.shard(s.gradients, b, shard)),
                                  .copy = apart ? values : kernels::TensorView{},
                                  .step = step,
                                  .learning_rate = options.learning_rate,
                                  .weight_decay = options.weight_decay,
                                  .gradient_scale = gradient_scale});
    }
    context_.run(kernels::Fill{s.gradients.view(), 0.0F});
  }
}

}  // namespace meshplan::runtime
