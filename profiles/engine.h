#pragma once
#include <string>
#include <vector>

#include "profiles/data_files.h"
#include "profiles/units.h"

namespace meshplan::profiles {

/// From what a serving engine takes the part of memory that its cache of keys and values may fill.
enum class CacheRule {
  OfTotal,  ///< fraction of the device, less weights and what a full step needs (vLLM)
  OfFree,   ///< fraction of what weights and a full step leave (TensorRT-LLM)
  Static,   ///< fraction of the device, less weights; the rest is for the step (SGLang)
};

/// Habits of the software that serves a model: how it batches, what it keeps, what its host work
/// costs. One file per engine, profiles/data/engines, each figure with its cause; schema
/// meshplan.engine/1. Nothing here depends on a single run.
struct Engine {
  std::string name;
  bool known = true;    ///< false: a run named an engine that has no file; generic habits
  double spread = 0.2;  ///< sigma of ln(measured / predicted)

  // Memory.
  CacheRule cache_rule = CacheRule::OfTotal;
  double cache_fraction = 0.9;
  Bytes context{};                    ///< CUDA context, kernels, communicators, graphs
  bool cache_follows_weights = true;  ///< fp8 cache under fp8 and fp4 weights, else 16 bits

  // Scheduling.
  int max_batched_tokens = 8192;  ///< of one step: a token of each decoding request, then prompts
  int max_sequences = 256;        ///< requests in flight
  bool chunked_prefill = true;    ///< a prompt may be spread over several steps
  bool fuses_prefill = true;      ///< prompts and decoding requests share a step; false: prompts go
                                  ///< first, alone
  bool schedules_ahead = false;   ///< a step is settled when the one before it starts, to hide the
                                  ///< host's work: a request that comes later misses it
  double reserved_output = 0;     ///< part of its output that a request must find cache for before
                                  ///< it starts; below 1, a full cache preempts the youngest
  bool attention_data_parallel = false;  ///< of models with experts: each tensor-parallel rank
                                         ///< attends to its own requests

  // Kernels.
  bool custom_all_reduce = true;  ///< one-shot and two-shot kernels over NVLink besides NCCL

  // The host beside the device.
  Seconds step{};              ///< of each step: scheduling, preparing inputs, sampling
  Seconds layer{};             ///< to launch one layer of a decode step; exposed where longer
  Seconds prefill_layer{};     ///< the same of a step with prompts: no graph was captured for it
  Seconds pipeline_request{};  ///< of each request in each step, for each stage but one: handing
                               ///< its token around the ranks
  double ampere_host = 1;  ///< launches take this times as long on the hosts of Ampere and older

  // The way between users and the scheduler, when requests come one by one. Offline runs skip it.
  Seconds request{};  ///< of each request, on average: network, parsing, handing over
  Seconds receive{};  ///< of each request, one after the other: the front end is one process
  Seconds stream{};   ///< of each token that is sent back, in its step: detokenising, sending
};

/// Reads profiles/data/engines/<name>.json over the habits of "generic". An unknown name gives
/// those with known = false.
Engine load_engine(const std::string& name, const DataFiles& files);

}  // namespace meshplan::profiles
