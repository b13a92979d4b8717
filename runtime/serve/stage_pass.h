#pragma once
#include <cstdint>
#include <vector>

#include "runtime/execute/layer_parts.h"
#include "runtime/execute/model_context.h"
#include "runtime/execute/parameters.h"
#include "runtime/serve/batches.h"
#include "runtime/serve/kv_cache.h"
#include "runtime/serve/serving.h"

namespace meshplan::runtime {

/// What a rank does at a moment of a micro-batch, apart from communicating and waiting. Spans have
/// instruction = kPieces * micro-batch + piece.
enum class Piece : std::uint8_t { Matrices, Attention, Host };
constexpr int kPieces = 3;

/// A rank while it serves.
struct ServingContext : ModelContext {
  ServingContext(const Serving& what, Device& where, Groups& among, Recorder& clock)
      : ModelContext{what.model, what.layout, element_type(what), where, among, clock},
        serving(what) {}

  const Serving& serving;
  RotaryTables rotary;
  int step = 0, microbatch = 0;

  /// What is recorded from now on is of this piece of this micro-batch.
  void begin(Piece piece) const;
  void end() const { recorder.end_instruction(); }
  /// Between begin and end: as end and begin.
  void turn_to(Piece piece) const {
    end();
    begin(piece);
  }
};

/// One layer over the tokens of a micro-batch, [rows, hidden] in and out; keys and values of the
/// tokens join the cache, and each query sees those of its request up to its own.
///
///   x -> norm -> qkv -> rotary -> cache, attention -> projection -> [reduce] -> +x = m
///   m -> norm -> up -> activation -> down -> [reduce] -> +m
Tensor decoder_layer(ServingContext& context, const LayerParameters& parameters, int layer,
                     const Tensor& input, const std::vector<Batch>& batches, const KvCache& cache);

/// Rows of `x` after which a new token comes, in the order of requests, [those, hidden].
Tensor last_rows(ServingContext& context, const Tensor& x, const std::vector<Batch>& batches);

/// A token of an answer, the word with the greatest logit (of equal ones the first), and the next.
struct GeneratedToken {
  std::int32_t token = 0;
  float logit = 0;
  std::int32_t runner_up = 0;
  float runner_up_logit = 0;
  friend bool operator==(const GeneratedToken&, const GeneratedToken&) = default;
};

/// Final norm, logits over the vocabulary that the tensor-parallel ranks share, gathered on all of
/// them, and the greatest: one for each row of `x`.
std::vector<GeneratedToken> greedy_tokens(ServingContext& context, const HeadParameters& parameters,
                                          const Tensor& x);

}  // namespace meshplan::runtime
