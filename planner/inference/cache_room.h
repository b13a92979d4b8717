#pragma once
#include <cstdint>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/engine.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// Memory of one pipeline stage while it serves, on the rank that holds most.
struct ServingMemory {
  profiles::Bytes weights;
  profiles::Bytes step;     ///< activations of the fullest step
  profiles::Bytes context;  ///< CUDA context, kernels, communicators, graphs
  profiles::Bytes cache;    ///< what the engine then takes for keys and values; none: too small
  profiles::Bytes cache_per_token;

  /// Tokens whose keys and values this stage can hold.
  [[nodiscard]] std::int64_t cached_tokens() const {
    return cache_per_token.count > 0 ? cache.count / cache_per_token.count : INT64_MAX;
  }
};

/// Of every stage, as the engine measures it when it starts: its rule and fraction of memory
/// (profiles/engine.h). Products with weights are in the workload's format, 4 bits with a scale of
/// 8 bits to 16 weights; embedding, head, router and norms stay at 16 bits.
std::vector<ServingMemory> serving_memory(const Problem& problem, const profiles::Engine& engine,
                                          const Layout& layout);

/// What the cache of one replica holds: the engine's verdict on the layout.
struct CacheRoom {
  std::int64_t tokens = 0;  ///< of all requests together; the smallest stage decides. Attention
                            ///< spread over replicas inside tp: of all its ranks together
  /// The longest context of a single request that fits.
  [[nodiscard]] std::int64_t longest_context() const { return tokens; }
};
CacheRoom cache_room(const std::vector<ServingMemory>& stages, const Problem& problem,
                     const profiles::Engine& engine, const Layout& layout);

}  // namespace meshplan::planner
