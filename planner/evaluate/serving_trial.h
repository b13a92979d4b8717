#pragma once
#include "planner/evaluate/runs.h"
#include "planner/inference/predict_inference.h"

namespace meshplan::planner {

/// A recorded serving run as its source made it: what clients sent, and how the engine was started.
struct ServingTrial {
  Problem problem;
  Demand demand;
  profiles::Engine engine;
};

/// Habits of the sources, from the scripts that they publish; where none are known, equal lengths
/// and the engine's own defaults.
///
/// - InferenceMAX: a scenario's lengths (1024 or 8192 tokens of prompt and of answer) are lengths
/// at
///   most; its client draws them from 80 % of that up, so that they are 90 % on average. vLLM
///   schedules ahead (--async-scheduling). Source: InferenceMAX's README and benchmarks/70b_*.sh.
/// - NVIDIA's runs for AIConfigurator, which state the engine's version: equal lengths; a step has
///   room for one prompt, 1500 tokens more, and a token of each user; TensorRT-LLM reads prompts
///   whole. SGLang mixes prompts with decoding since 0.5.2 (the script for 0.5.1 misspells the
///   flag). Source: AIConfigurator's genai_perf_runner.py, generator/rule_plugin/*.rule and
///   generator/config/backend_templates.
ServingTrial serving_trial(const RecordedRun& run);

}  // namespace meshplan::planner
