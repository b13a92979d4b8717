#include "kernels/cuda/kernels.h"
#include "kernels/cuda/map.h"
#include "kernels/embedding.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

template <int kWidth>
struct LookUp {
  const std::int32_t* ids;
  std::int64_t first_id, held_ids;
  Input table;
  Output y;
  bool accumulate;

  struct Loaded {
    Words table, y;
  };
  MESHPLAN_DEVICE Loaded load(const Place& place, bool aligned) const {
    const std::int64_t id = ids[place.row] - first_id;
    const bool held = id >= 0 && id < held_ids;
    const Place in_table{held ? id : 0, place.column, 0, held ? place.end : 0};
    const Place in_y{place.row, place.column, 0, accumulate ? place.end : 0};
    return {cuda::load<kWidth>(table, in_table, aligned),
            cuda::load<kWidth>(as_input(y), in_y, aligned)};
  }
  MESHPLAN_DEVICE void finish(const Place& place, bool aligned, const Loaded& loaded) const {
    float values[kWidth], before[kWidth];
    unpack<kWidth>(loaded.table, table.type, values);
    unpack<kWidth>(loaded.y, y.type, before);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) values[i] += before[i];
    store<kWidth>(y, place, aligned, values);
  }
};

/// The uses of an id as a list: next[r] = the next row with the id of row r, or `rows`; first[r] =
/// 1 if no row before r has that id and the rank holds it.
struct LinkUses {
  const std::int32_t* ids;
  std::int64_t first_id, held_ids;
  std::int32_t rows;
  std::int32_t* next;
  std::int32_t* first;

  struct Found {
    std::int32_t next;
    std::int32_t before;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    for (std::int64_t r = group.index(); r < rows; r += group.count()) {
      const auto row = static_cast<std::int32_t>(r);
      const std::int32_t id = ids[row];
      typename G::template PerLane<Found> state;
      group.each(state, [&](int lane, Found& found) {
        found = {rows, 0};
        for (std::int32_t other = lane; other < rows; other += G::lanes) {
          if (ids[other] != id) continue;
          if (other < row) found.before = 1;
          if (other > row && other < found.next) found.next = other;
        }
      });
      const Found found = group.reduce(
          state, [](const Found& f) { return f; },
          [](const Found& a, const Found& b) {
            return Found{a.next < b.next ? a.next : b.next, a.before | b.before};
          });
      group.each([&](int lane) {
        if (lane != 0) return;
        const std::int64_t held = id - first_id;
        next[row] = found.next;
        first[row] = held >= 0 && held < held_ids && found.before == 0 ? 1 : 0;
      });
    }
  }
};

/// dtable[id] += the rows of its uses, in their order. One lane owns a chunk of a row of dtable.
template <int kWidth>
struct AddUses {
  const std::int32_t* ids;
  std::int64_t first_id;
  std::int32_t rows;
  const std::int32_t* next;
  const std::int32_t* first;
  Chunks chunks;  ///< of dy
  Input dy;
  Output dtable;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    group.each([&](int lane) {
      for (std::uint32_t i = group.index() * G::lanes + static_cast<std::uint32_t>(lane);
           i < chunks.count; i += group.count() * G::lanes) {
        const Place place = chunks.place<kWidth>(i);
        if (first[place.row] == 0) continue;
        const Place in_table{ids[place.row] - first_id, place.column, 0, place.end};
        float sum[kWidth];
        load_floats<kWidth>(as_input(dtable), in_table, chunks.aligned, sum);
        for (auto row = static_cast<std::int32_t>(place.row); row < rows; row = next[row]) {
          float values[kWidth];
          load_floats<kWidth>(dy, {row, place.column, 0, place.end}, chunks.aligned, values);
#pragma unroll
          for (int k = 0; k < kWidth; ++k) sum[k] += values[k];
        }
        store<kWidth>(dtable, in_table, chunks.aligned, sum);
      }
    });
  }
};

}  // namespace

void run(const EmbeddingForward& op, Queue& queue) {
  check_shapes(op);
  map<LookUp>(queue, chunks_of(op.y.rows, op.y.cols, {op.table, op.y}), op.ids.data(), op.first_id,
              op.table.rows, Input(op.table), Output(op.y), op.accumulate);
}

void run(const EmbeddingBackward& op, Queue& queue) {
  check_shapes(op);
  const Chunks chunks = chunks_of(op.dy.rows, op.dy.cols, {op.dy, op.dtable});
  if (chunks.count == 0) return;
  const auto rows = static_cast<std::int32_t>(op.dy.rows);
  Queue::State& state = queue.state();
  ScratchLayout layout;
  const std::int64_t at_next = layout.take(4 * op.dy.rows), at_first = layout.take(4 * op.dy.rows);
  void* scratch = state.scratch.reserve(layout.bytes(), state.stream);
  auto* next = piece<std::int32_t>(scratch, at_next);
  auto* first = piece<std::int32_t>(scratch, at_first);
  issue<32>(queue, op.dy.rows,
            LinkUses{op.ids.data(), op.first_id, op.dtable.rows, rows, next, first});
  // dtable is fp32, so chunks are four elements wide.
  issue<kMapLanes>(
      queue, ceiling_of_quotient(chunks.count, kMapLanes),
      AddUses<4>{op.ids.data(), op.first_id, rows, next, first, chunks, op.dy, op.dtable});
}

}  // namespace meshplan::kernels::cuda
