#pragma once
#include "planner/inference/predict_inference.h"

namespace meshplan::planner {

/// 80% intervals of what a layout serves.
///
///   x * exp(-1.2816 s) .. x * exp(+1.2816 s),   s^2 = f^2 + sum over terms (share_i * s_i)^2
///
/// f = the engine's spread (its file), more where the engine has no file; s_i = how well that kind
/// of term is known (planner/term_spreads.h). Of the time per token and of the throughput, the
/// terms are those of a step of decoding and of the prompts that go with it, one for each answer's
/// length; of the time to the first token, those of the prompt's own step, and the waiting for
/// others before it, which queues amplify. Stages that wait are as uncertain as the work that they
/// wait for.
ServingIntervals serving_intervals(const Problem& problem, const profiles::Engine& engine,
                                   const InferencePrediction& prediction);

}  // namespace meshplan::planner
