#include "runtime/execute/groups.h"

#include "planner/layout/stage_split.h"
#include "runtime/communicator/lone.h"

namespace meshplan::runtime {
namespace {

/// Whether a stage owns the first or the last chunk.
bool at_an_end(const planner::Layout& layout, int stage) {
  return stage == planner::owner_of_chunk(layout, 0) ||
         stage == planner::owner_of_chunk(layout, layout.chunks() - 1);
}

/// Tensor-parallel ranks that hold the same key and value heads.
int copies_of_kv_heads(int kv_heads, int tp) { return kv_heads < tp ? tp / kv_heads : 1; }

kernels::TensorView row_of(Buffer elements) {
  const auto count = static_cast<std::int64_t>(elements.count);
  return {elements.data, 1, count, count, elements.type};
}

/// By kernels on the queue of the compute, like everything that a lone rank does.
LoneMemory memory_of(Device& device) {
  return {[&device](ConstBuffer from, Buffer to) {
            const auto count = static_cast<std::int64_t>(from.count);
            device.launch(kernels::Copy{
                kernels::ConstTensorView{from.data, 1, count, count, from.type}, row_of(to)});
          },
          [&device](Buffer elements) {
            // Not constants: a GPU that multiplies them draws less power and clocks higher.
            if (!elements.empty()) device.launch(kernels::NormalFill{row_of(elements), 0, 0.25F});
          }};
}

}  // namespace

Coordinates coordinates_of(const planner::Layout& layout, int rank) {
  Coordinates at;
  for (const planner::Axis axis : layout.order) {
    const auto take = [&](int degree) {
      const int digit = rank % degree;
      rank /= degree;
      return digit;
    };
    switch (axis) {
      case planner::Axis::Tp:
        at.tp = take(layout.tp);
        break;
      case planner::Axis::Dp:
        at.dp = take(layout.dp);
        break;
      case planner::Axis::Pp:
        at.pp = take(layout.pp);
        break;
      case planner::Axis::Cp:
        take(layout.cp);
        break;
    }
  }
  return at;
}

Groups make_groups(const planner::Layout& layout, int kv_heads, Communicator& world) {
  Groups groups;
  const Coordinates at = coordinates_of(layout, world.rank());
  groups.here = at;
  const int tp = layout.tp;
  const int dp = layout.dp;
  groups.tp = world.split(at.pp * dp + at.dp, at.tp, Queue::TensorParallel);
  groups.dp = world.split(at.pp * tp + at.tp, at.dp, Queue::DataParallel);
  groups.pp_forward = world.split(at.dp * tp + at.tp, at.pp, Queue::PipelineForward);
  groups.pp_backward = world.split(at.dp * tp + at.tp, at.pp, Queue::PipelineBackward);
  groups.ends =
      groups.pp_forward->split(at_an_end(layout, at.pp) ? 0 : 1, at.pp, Queue::DataParallel);
  const int copies = copies_of_kv_heads(kv_heads, tp);
  groups.same_kv_heads = groups.tp->split(at.tp / copies, at.tp, Queue::TensorParallel);
  return groups;
}

Groups make_lone_groups(const planner::Layout& layout, int kv_heads, Device& device) {
  Groups groups;
  Communicator& world = device.world();
  const Coordinates at = coordinates_of(layout, world.rank());
  groups.here = at;
  const auto lone = [&](int rank, int size) {
    return std::make_unique<Lone>(rank, size, world,
                                  device.asynchronous() ? memory_of(device) : host_memory());
  };
  groups.tp = lone(at.tp, layout.tp);
  groups.dp = lone(at.dp, layout.dp);
  groups.pp_forward = lone(at.pp, layout.pp);
  groups.pp_backward = lone(at.pp, layout.pp);
  // The rank among those of its kind, and how many they are.
  const bool end = at_an_end(layout, at.pp);
  int before = 0, ends = 0;
  for (int stage = 0; stage < layout.pp; ++stage) {
    if (at_an_end(layout, stage) != end) continue;
    before += stage < at.pp ? 1 : 0;
    ++ends;
  }
  groups.ends = lone(before, ends);
  const int copies = copies_of_kv_heads(kv_heads, layout.tp);
  groups.same_kv_heads = lone(at.tp % copies, copies);
  return groups;
}

}  // namespace meshplan::runtime
