#pragma once
#include <vector>

#include "planner/cost/collective/collective_model.h"
#include "planner/inference/ladder.h"
#include "planner/inference/step.h"
#include "planner/layout/layout.h"
#include "planner/model/model_graphs.h"
#include "planner/model/shard.h"
#include "planner/problem.h"
#include "profiles/engine.h"
#include "profiles/units.h"

/// What one step of a serving engine costs: a forward pass over one token of each decoding request
/// and over some tokens of prompts, on one replica (tp x pp devices).
///
/// A step's time is what its operators take on the slowest rank (planner/cost), the collectives
/// between them, and the host's work beside and between them (profiles/engine.h). Weights are read
/// once whatever the tokens, keys and values once for each request: that is why small batches are
/// bound by memory and why batching pays.
namespace meshplan::planner {

/// How long a step takes whose micro-batches each need `through` for all stages and `slowest` on
/// the slowest of them. With pp stages the requests travel as pp micro-batches, and steps that
/// follow each other take one round of all of them: pp times the slowest stage, or once through all
/// stages where that is longer, since a request's next token waits for the last.
struct PipelineRound {
  profiles::Seconds period{0};
  profiles::Seconds fill{0};  ///< how much later a step ends that finds all stages idle
};
PipelineRound pipeline_round(profiles::Seconds through, profiles::Seconds slowest, int stages,
                             double microbatches);

/// Prices of steps of one layout, each piece computed once: products and collectives at a ladder of
/// token counts, attention at one of batches and lengths (ladder.h). Keeps references to its
/// arguments; not thread-safe.
class StepPrices {
 public:
  /// `layout` must be legal. dp is not looked at, save for experts spread over replicas.
  StepPrices(const Problem& problem, const profiles::Engine& engine, const Layout& layout);

  /// One step, on one stage or as a round of several (pipeline_round).
  [[nodiscard]] StepTime time(const Step& step);

 private:
  /// Seconds of one layer, or of the head, over some tokens.
  struct Part {
    double matrices = 0, communication = 0;
    Part& operator+=(const Part& other) {
      matrices += other.matrices;
      communication += other.communication;
      return *this;
    }
    friend Part operator+(Part a, const Part& b) { return a += b; }
    friend Part operator*(double n, const Part& a) { return {n * a.matrices, n * a.communication}; }
  };
  struct Stage {
    int dense = 0, sparse = 0;  ///< layers
    bool embedding = false, head = false;
  };

  Part layer_part(const OperatorGraph& graph, std::int64_t tokens) const;
  Part head_part(std::int64_t rows) const;
  profiles::Seconds all_reduce(std::int64_t bytes) const;
  double decode_attention(double requests, double keys);
  double decode_attention_at(std::int64_t requests, std::int64_t keys) const;
  double seconds_per_pair() const;
  [[nodiscard]] const Operator& core_attention() const;

  const Problem& problem_;
  const profiles::Engine& engine_;
  Layout layout_;
  LayerSplit split_;            ///< of everything but attention under attention_dp_
  LayerSplit attention_split_;  ///< of attention and its projections
  bool attention_dp_ = false;
  bool exchanges_ = false;  ///< experts spread over replicas: all-to-all
  profiles::DataType weight_type_;
  int activation_bytes_;
  profiles::DataType cache_type_;
  ModelGraphs graphs_;
  GroupShape tp_shape_;
  CollectiveModel tp_, ep_, hop_;
  std::vector<Stage> stages_;
  double pair_seconds_ = 0;
  Ladder<Part> dense_, sparse_, head_;  ///< by tokens
  LadderGrid attention_;                ///< by requests and keys
};

/// The format in which the engine keeps keys and values under weights of `weights`.
profiles::DataType cache_type(const profiles::Engine& engine, profiles::DataType weights);

}  // namespace meshplan::planner
