#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "planner/cluster/group_shape.h"
#include "planner/cost/layer_cost.h"
#include "planner/cost/schedule_costs.h"
#include "planner/memory/rank_parameters.h"
#include "planner/memory/stage_memory.h"
#include "planner/problem.h"

namespace meshplan::planner {

/// Where a layout's groups lie. Two layouts that differ only in the order of their axes cost the
/// same when this is equal.
struct Placement {
  GroupShape tp, cp, ep, shards, replicates, expert_replicas;
  std::vector<GroupShape> hops;  ///< by stage, to the next one
  friend bool operator==(const Placement&, const Placement&) = default;
};
Placement placement(const Layout& layout, const profiles::Cluster& cluster);

/// Prices of one problem's layouts, each piece computed once for all layouts that share it: a
/// search over a million layouts prices some hundred blocks. Answers do not depend on the order of
/// the questions. Keeps a reference to the problem; not thread-safe.
class PriceBook {
 public:
  explicit PriceBook(const Problem& problem);

  /// Compute of the blocks; depends on tp, cp, ep, etp, sp, mbs.
  struct BlockComputes {
    BlockCompute dense_layer, sparse_layer, embedding, head;
  };
  const BlockComputes& computes(const Layout& layout);
  const RankParameters& parameters(const Layout& layout);
  const ActivationBytes& activations(const Layout& layout);

  /// Blocks with their collectives, the groups as `where` places them.
  BlockPrices prices(const Layout& layout, const Placement& where);
  /// Everything the simulator needs; `split` = layers per chunk.
  ScheduleCosts costs(const Layout& layout, const std::vector<int>& split, const Placement& where);

  [[nodiscard]] const Problem& problem() const { return problem_; }

 private:
  const ModelGraphs& graphs(int tp);
  const CollectiveModel& group(const GroupShape& shape);
  HopCost hop(const GroupShape& shape, profiles::Bytes boundary);
  [[nodiscard]] LayerPace pace(const BlockCompute& layer) const;
  /// Stages so full that the caching allocator keeps retrying: see Framework::retry.
  void add_allocator_retries(const Layout& layout, const std::vector<int>& split,
                             ScheduleCosts& costs);

  const Problem& problem_;
  CostContext context_;
  struct ShapeHash {
    std::size_t operator()(const GroupShape& shape) const;
  };
  /// What a piece depends on: degrees, and micro-batch and small options, packed in a word each.
  struct Key {
    std::uint64_t degrees = 0, options = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  std::unordered_map<GroupShape, CollectiveModel, ShapeHash> groups_;
  std::unordered_map<int, std::shared_ptr<const ModelGraphs>> graphs_;
  std::unordered_map<Key, BlockComputes, KeyHash> computes_;
  std::unordered_map<Key, RankParameters, KeyHash> parameters_;
  std::unordered_map<Key, ActivationBytes, KeyHash> activations_;
};

}  // namespace meshplan::planner
