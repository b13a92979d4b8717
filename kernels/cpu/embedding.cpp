#include "kernels/embedding.h"

#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct GatherRows {
  template <class W, class Y>
  MESHPLAN_INLINE static void run(const std::int32_t* ids, std::int64_t first_id,
                                  Matrix<const W> table, Matrix<Y> y, bool accumulate) {
    for (std::int64_t r = 0; r < y.rows; ++r) {
      const std::int64_t id = ids[r] - first_id;
      const bool held = id >= 0 && id < table.rows;
      const W* in = held ? table.row(id) : nullptr;
      Y* out = y.row(r);
      // What a processor fetches ahead by itself ends with the row: the next one lies anywhere.
      const std::int64_t next = r + 1 < y.rows ? ids[r + 1] - first_id : -1;
      const auto for_each_gathered = [&](auto body) __attribute__((always_inline)) {
        for_each_stretch(
            y.cols, [&](std::int64_t begin, auto size) __attribute__((always_inline)) {
              if (next >= 0) prefetch_columns(table, next, 1, begin, size);
              for_each_column<Y>(begin, begin + size, body);
            });
      };
      if (held && accumulate) {
        for_each_gathered([&](auto at) __attribute__((always_inline)) {
          at.store(out, at.load(in) + at.load(out));
        });
      } else if (held) {
        for_each_gathered([&](auto at)
                              __attribute__((always_inline)) { at.store(out, at.load(in)); });
      } else if (!accumulate) {
        for_each_column<Y>(
            0, y.cols, [&](auto at) __attribute__((always_inline)) { at.store(out, 0.0F); });
      }
    }
  }
};

struct ScatterRows {
  template <class T>
  MESHPLAN_INLINE static void run(const std::int32_t* ids, std::int64_t first_id,
                                  Matrix<const T> dy, Matrix<float> dtable) {
    for (std::int64_t r = 0; r < dy.rows; ++r) {
      const std::int64_t id = ids[r] - first_id;
      if (id < 0 || id >= dtable.rows) continue;
      const T* in = dy.row(r);
      float* out = dtable.row(id);
#pragma omp simd
      for (std::int64_t c = 0; c < dy.cols; ++c) out[c] += load(in[c]);
    }
  }
};

}  // namespace

void run(const EmbeddingForward& op, Queue& queue) {
  check_shapes(op);
  with_type(op.table.type, [&]<class W>(W) {
    with_type(op.y.type, [&]<class Y>(Y) {
      vectorised<GatherRows>(queue.state().instruction_set, op.ids.data(), op.first_id,
                             matrix<W>(op.table), matrix<Y>(op.y), op.accumulate);
    });
  });
}

void run(const EmbeddingBackward& op, Queue& queue) {
  check_shapes(op);
  with_type(op.dy.type, [&]<class T>(T) {
    vectorised<ScatterRows>(queue.state().instruction_set, op.ids.data(), op.first_id,
                            matrix<T>(op.dy), matrix<float>(op.dtable));
  });
}

}  // namespace meshplan::kernels::cpu
