#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"
#include "profiles/cluster.h"

namespace meshplan::planner {

/// How the layers lie on the chunks of a pipeline.
struct SplitShape {
  int least = 0, most = 0;  ///< layers of the smallest and of the largest chunk
  bool even = true;         ///< all chunks hold the same number
  bool ends_short =
      false;  ///< the first and the last hold one less than the others, which are even
};
SplitShape split_shape(const std::vector<int>& layers_per_chunk);

/// One layout in its surroundings: what the conditions of framework rules are about.
struct Situation {
  const Layout& layout;
  const Transformer& model;
  const Workload& workload;
  const profiles::Cluster& cluster;
  SplitShape split;
};

enum class FactType { Number, Flag, Word };

/// A named property of a situation. Flags are 0 or 1, words an index into `words`.
struct Fact {
  std::string_view name;
  FactType type = FactType::Number;
  std::int64_t (*value)(const Situation&) = nullptr;
  std::span<const std::string_view> words = {};
};

/// Every fact that a condition may name; docs/frameworks.md explains them.
std::span<const Fact> layout_facts();

}  // namespace meshplan::planner
