#include "runtime/execute/warm_up.h"

#include <set>

#include "planner/schedule/dependencies.h"

namespace meshplan::runtime {

std::vector<CommunicatingPair> communicating_pairs(const planner::Schedule& schedule) {
  std::set<CommunicatingPair> pairs;
  for (std::size_t stage = 0; stage < schedule.programs.size(); ++stage) {
    for (const planner::Instruction& i : schedule.programs[stage]) {
      if (!planner::is_send(i.action)) continue;
      pairs.insert({i.action == planner::Action::SendForward, static_cast<int>(stage), i.peer});
    }
  }
  return {pairs.begin(), pairs.end()};
}

void warm_up(ModelContext& context, const std::vector<CommunicatingPair>& pairs) {
  Device& device = context.device;
  if (!device.asynchronous()) return;
  const Tensor one = context.tensor(1, 16, MemoryTerm::Workspace);
  context.run(kernels::Fill{one.view(), 0.0F});
  device.wait();
  const Groups& groups = context.groups;
  for (Communicator* group : {groups.tp.get(), groups.same_kv_heads.get(), groups.dp.get(),
                              groups.ends.get(), &device.world()}) {
    if (group->size() > 1) group->all_reduce(one.buffer(), Reduction::Sum);
    device.wait();
  }
  const int here = groups.here.pp;
  for (const CommunicatingPair& pair : pairs) {
    if (pair.from != here && pair.to != here) continue;
    Communicator& pp = pair.forward ? *groups.pp_forward : *groups.pp_backward;
    const bool sends = pair.from == here;
    const Transfer transfer{sends ? Transfer::Kind::Send : Transfer::Kind::Receive,
                            sends ? pair.to : pair.from, 0, one.buffer()};
    pp.exchange(std::span(&transfer, 1));
    device.wait();
  }
}

}  // namespace meshplan::runtime
