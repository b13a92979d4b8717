#pragma once
#include "kernels/cuda/chunks.h"
#include "kernels/cuda/launch.h"

namespace meshplan::kernels::cuda {

/// Lanes of a block of elementwise work, and chunks a lane has under way at a time.
inline constexpr int kMapLanes = 256;

/// A body works on one chunk at a time: loaded = body.load(place, aligned), what memory is asked
/// for; then body.finish(place, aligned, loaded). Two chunks are loaded before the first is
/// finished, so that a thread has two accesses of every operand under way.
template <int kWidth, template <int> class Body>
struct Map {
  Body<kWidth> body;
  Chunks chunks;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::uint32_t stride = group.count() * G::lanes;
    group.each([&](int lane) {
      for (std::uint32_t i = group.index() * G::lanes + static_cast<std::uint32_t>(lane);
           i < chunks.count; i += 2 * stride) {
        const Place first = chunks.place<kWidth>(i);
        const auto loaded = body.load(first, chunks.aligned);
        if (i + stride < chunks.count) {
          const Place second = chunks.place<kWidth>(i + stride);
          const auto loaded_second = body.load(second, chunks.aligned);
          body.finish(first, chunks.aligned, loaded);
          body.finish(second, chunks.aligned, loaded_second);
        } else {
          body.finish(first, chunks.aligned, loaded);
        }
      }
    });
  }
};

/// Issues Body over the chunks to `stream`; `arguments` initialise the body of either width.
template <template <int> class Body, class... Arguments>
void map(Queue& queue, CUstream_st* stream, const Chunks& chunks, const Arguments&... arguments) {
  const std::int64_t groups = ceiling_of_quotient(chunks.count, 2 * kMapLanes);
  if (chunks.width == 8)
    issue<kMapLanes>(queue, stream, groups, Map<8, Body>{Body<8>{arguments...}, chunks});
  else
    issue<kMapLanes>(queue, stream, groups, Map<4, Body>{Body<4>{arguments...}, chunks});
}

/// To the queue's own stream.
template <template <int> class Body, class... Arguments>
void map(Queue& queue, const Chunks& chunks, const Arguments&... arguments) {
  map<Body>(queue, queue.state().stream, chunks, arguments...);
}

/// One row in place of contiguous rows: no chunk is cut short at the ends of rows.
template <class Pointer>
BasicTensorView<Pointer> one_row(const BasicTensorView<Pointer>& view) {
  return {view.data, 1, view.elements(), view.elements(), view.type};
}

template <class... Views>
bool all_contiguous(const Views&... views) {
  return (views.contiguous() && ...);
}

}  // namespace meshplan::kernels::cuda
