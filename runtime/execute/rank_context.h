#pragma once
#include <cstdint>

#include "runtime/execute/model_context.h"
#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// What the pieces of the executor need to know about their rank.
///
/// Activations of a micro-batch are matrices of n = mbs * seq_len rows, sequence fastest.
struct RankContext : ModelContext {
  RankContext(const Training& what, Device& where, Groups& among, Recorder& clock)
      : ModelContext{what.model, what.layout, element_type(what), where, among, clock},
        training(what) {}

  const Training& training;
  Tensor cosine, sine;  ///< of rotary positions; empty: none
  std::int32_t step = 0;

  [[nodiscard]] std::int64_t seq_len() const { return training.workload.seq_len; }
  [[nodiscard]] std::int64_t tokens() const { return layout().mbs * seq_len(); }
  /// Rows of the residual stream that this rank holds, and the first of them in the micro-batch.
  [[nodiscard]] std::int64_t local_tokens() const {
    return sequence_parallel() ? tokens() / layout().tp : tokens();
  }
  [[nodiscard]] std::int64_t first_local_token() const {
    return sequence_parallel() ? groups.here.tp * local_tokens() : 0;
  }
  /// Row of the global batch (sequence * seq_len + position) where the micro-batch starts.
  [[nodiscard]] std::int64_t first_row(int microbatch) const;
};

}  // namespace meshplan::runtime
