#pragma once
#include <array>
#include <cstdint>

#include "planner/layout/layout.h"

namespace meshplan::planner {

/// Ranks base + stride * i, i < count.
struct RankStep {
  std::int64_t stride = 1;
  std::int64_t count = 1;
  friend bool operator==(const RankStep&, const RankStep&) = default;
};

/// The ranks of one communicator, up to a base that differs from group to group: every sum of one
/// multiple of each step. Steps with rising strides, contiguous ones merged, none of count 1.
struct RankGroup {
  std::array<RankStep, 4> steps{};
  int used = 0;

  void append(RankStep step);
  [[nodiscard]] std::int64_t ranks() const;
  friend bool operator==(const RankGroup&, const RankGroup&) = default;
};

/// Ranks are numbered by layout.order, fastest first.
RankGroup axis_group(const Layout& layout, Axis axis);
/// dp x cp: the ranks that hold the same dense parameters.
RankGroup replica_group(const Layout& layout);
/// The part of a replica group that states are sharded over: its nearest layout.shards() ranks.
RankGroup shard_group(const Layout& layout);
/// Under hsdp: ranks that hold the same shard.
RankGroup replicate_group(const Layout& layout);
/// Expert parallelism regroups the ranks of a stage (tp, cp, dp in their order): etp nearest, then
/// ep, then the replicas of the experts.
RankGroup expert_tensor_group(const Layout& layout);
RankGroup expert_group(const Layout& layout);
RankGroup expert_replica_group(const Layout& layout);

}  // namespace meshplan::planner
