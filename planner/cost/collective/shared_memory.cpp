#include "planner/cost/collective/shared_memory.h"

namespace meshplan::planner {
namespace {

/// Three meetings of two spinning threads took 0.9 to 1.7 us on cores of 2022.
constexpr profiles::Seconds kMeeting{0.4e-6};

/// Times that a rank reads as many bytes as the call has.
double passes(Collective operation, int ranks) {
  const double others = (ranks - 1.0) / ranks;
  switch (operation) {
    case Collective::AllReduce:
      return 1 + others;
    case Collective::SendReceive:  // into the message and out of it
      return 2;
    case Collective::AllGather:
    case Collective::ReduceScatter:
    case Collective::Broadcast:
    case Collective::AllToAll:
    case Collective::Reduce:
      break;
  }
  return 1;
}

}  // namespace

SharedMemoryCall shared_memory_call(Collective operation, int ranks,
                                    profiles::BytesPerSecond all_reduce) {
  const int meetings = operation == Collective::AllReduce ? 3 : 2;
  const double pass = 1 / (passes(Collective::AllReduce, 2) * all_reduce.rate);
  return {meetings * kMeeting, passes(operation, ranks) * pass};
}

}  // namespace meshplan::planner
