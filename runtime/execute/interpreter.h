#pragma once
#include <map>
#include <utility>
#include <vector>

#include "runtime/execute/ends.h"
#include "runtime/execute/execute.h"
#include "runtime/execute/gradient_reduction.h"
#include "runtime/execute/layer.h"
#include "runtime/execute/optimizer.h"
#include "runtime/execute/transfers.h"

namespace meshplan::runtime {

/// Runs the instructions of one rank. Holds what lives from one instruction to the next.
class Interpreter {
 public:
  Interpreter(RankContext& context, ModelState& state);

  /// One step; the sum over this rank's tokens of loss / tokens of the global batch, 0 on stages
  /// without the head and on all but the first tensor-parallel rank.
  double run_step(int step);

  /// Gradients of the captured step.
  [[nodiscard]] std::vector<GradientPart> take_gradients() { return std::move(captured_); }

 private:
  using Key = std::pair<int, int>;  ///< chunk, micro-batch

  /// One micro-batch on one chunk, from Forward to the end of its backward.
  struct InFlight {
    std::vector<LayerSaved> layers;
    HeadSaved head;
    Tensor head_gradient;  ///< of the head's input, where backward through the head has been run
    WeightGradients weight_gradients;
  };

  using Program = std::vector<planner::Instruction>;

  void run(const Program& program, int index);
  void post(const Program& program, int index);
  void forward(int chunk, int microbatch);
  void backward(int chunk, int microbatch, bool split);
  void weight_grad(int chunk, int microbatch);
  void use_parameters(int chunk, int layer);
  void gradient_reduce(int chunk, int bucket);
  void parameter_gather(int chunk, int bucket);
  void finish_gradients();
  void optimizer_sync();
  void optimizer_step();

  void collect_losses();
  void capture();

  RankContext& context_;
  ModelState& state_;
  GradientReduction reduction_;
  ParameterGathers gathers_;
  OptimizerState optimizer_;
  PipelineTransfers transfers_;
  std::map<Key, InFlight> in_flight_;
  std::vector<Tensor> losses_;          ///< of micro-batches, not yet counted
  double loss_ = 0;                     ///< their sum, of this step
  std::vector<int> weight_grads_left_;  ///< by chunk of the model, in this step
  bool gradients_finished_ = false;
  float gradient_scale_ = 1;
  std::vector<GradientPart> captured_;
};

}  // namespace meshplan::runtime
