#pragma once
#include <map>
#include <vector>

#include "planner/layout/stage_split.h"

namespace meshplan::planner {

/// The split of layers of legal layouts; without `stages` it depends on the number of chunks alone.
class SplitBook {
 public:
  explicit SplitBook(const Transformer& model) : model_(model) {}

  /// Stands until the book or, where the layout states its split, the layout goes.
  const std::vector<int>& of(const Layout& layout) {
    if (!layout.stages.empty()) return layout.stages;
    const auto [at, fresh] = splits_.try_emplace(layout.chunks());
    if (fresh) at->second = stage_split(layout, model_);
    return at->second;
  }

 private:
  const Transformer& model_;
  std::map<int, std::vector<int>> splits_;
};

}  // namespace meshplan::planner
