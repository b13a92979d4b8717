#pragma once
#include <optional>

#include "planner/cluster/group_shape.h"
#include "profiles/cluster.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// All-reduce by a kernel that reads its peers' memory directly over NVLink, as serving engines
/// carry one for the small messages of decoding, where NCCL's latency would dominate.
///
///   one-shot: t = launch + meeting + S (n - 1) / B        every rank reads all that peers hold
///   two-shot: t = launch + 2 meeting + 2 S (n - 1) / n / B  each reduces its part, then gathers
///
/// S = payload, n = ranks, B = what such kernels reach of NVLink. The shorter of the two; none
/// where the ranks do not all reach each other by NVLink. Source of the algorithms: TensorRT-LLM's
/// customAllReduceKernels.cu and vLLM's custom_all_reduce.cuh, both public.
std::optional<profiles::Seconds> direct_all_reduce_time(profiles::Bytes payload,
                                                        const GroupShape& shape,
                                                        const profiles::Cluster& cluster);

}  // namespace meshplan::planner
