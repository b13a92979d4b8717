// NCCL. A call waits on its stream until all ranks of its communicator have come to it; the last of
// them does the work. So a rank that issues something else, or in another order, is seen.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "nccl_call.h"
#include "played.h"

using namespace meshplan::played;

namespace {

/// A message that one side has come to.
struct Message {
  Call call;
  bool done = false;
};

/// One collective call: what each rank brought.
struct Meeting {
  std::vector<std::optional<Call>> calls;
  std::size_t missing = 0, present = 0;  ///< ranks that have not come, and those that are there
  bool done = false, dead = false;       ///< dead: a rank left, and its memory may be gone
};

constexpr std::int64_t kMemoryOfCommunicator = std::int64_t{4} << 20;

/// The ranks that started from one id.
struct Clique {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<ncclComm_t> ranks;
  /// Atomic, so that a host that asks learns no more than these.
  std::atomic<std::size_t> missing{0};
  std::atomic<int> error{ncclSuccess};        ///< ranks disagreed
  std::map<std::uint64_t, Meeting> meetings;  ///< by the number of the collective call
  std::map<std::pair<int, int>, std::deque<Message*>> sent, wanted;  ///< by (from, to)
};

struct Cliques {
  std::mutex mutex;
  std::map<std::uint64_t, std::shared_ptr<Clique>> by_id;
  std::set<ncclComm_t> comms;
  std::vector<std::unique_ptr<ncclComm>> ever;
  std::uint64_t ids = 0;
};
Cliques& cliques() {
  static Cliques& found = *new Cliques;
  return found;
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Clique> clique;
  int rank = 0, device = 0;
  bool blocking = true;
  std::atomic<bool> aborted{false};
  std::atomic<int> error{ncclSuccess};
  std::atomic<std::uint64_t> issued{0}, done{0};
  std::uint64_t collectives = 0;  ///< of the stream's thread
  /// A call of a non-blocking communicator is not issued when the call returns.
  std::function<void()> to_issue;
  int polls = 0;
  cudaStream_t stream = nullptr;
};

namespace {

bool exists(const char* call, ncclComm_t comm) {
  const std::lock_guard lock(cliques().mutex);
  if (cliques().comms.contains(comm)) return true;
  report(std::string(call) + ": a communicator that does not exist");
  return false;
}

/// Waits until `passed` holds; false when the communicator was aborted or broken.
template <class Passed>
bool waited(std::unique_lock<std::mutex>& lock, ncclComm& comm, Passed passed) {
  while (!passed()) {
    if (comm.aborted) return false;
    comm.clique->changed.wait_for(lock, std::chrono::milliseconds(20));
  }
  return true;
}

void disagree(Clique& clique, const std::string& what) {
  clique.error = ncclInvalidUsage;
  clique.changed.notify_all();
  report("NCCL: " + what);
}

void meet(ncclComm& comm, const Call& call) {
  Clique& clique = *comm.clique;
  std::unique_lock lock(clique.mutex);
  if (comm.error != ncclSuccess) waited(lock, comm, [] { return false; });
  if (comm.aborted || clique.error != ncclSuccess) return;
  const std::uint64_t number = comm.collectives++;
  Meeting& meeting = clique.meetings[number];
  if (meeting.calls.empty()) {
    meeting.calls.resize(clique.ranks.size());
    meeting.missing = clique.ranks.size();
  }
  for (const auto& other : meeting.calls) {
    if (!other || other->same(call)) continue;
    return disagree(clique, std::string("ranks of one communicator call ") + name(call.kind) +
                                " of " + std::to_string(call.count) + " and " + name(other->kind) +
                                " of " + std::to_string(other->count));
  }
  meeting.calls[static_cast<std::size_t>(comm.rank)] = call;
  ++meeting.present;
  if (--meeting.missing == 0 && !meeting.dead) {
    carry_out(meeting.calls);
    meeting.done = true;
    clique.changed.notify_all();
  }
  if (!waited(lock, comm, [&] { return meeting.done || clique.error != ncclSuccess; })) {
    meeting.dead = true;
  }
  if (--meeting.present == 0 && meeting.done) clique.meetings.erase(number);
}

/// All messages of a group at once; messages between two ranks match in their order.
void exchange_messages(ncclComm& comm, const std::vector<Call>& calls) {
  Clique& clique = *comm.clique;
  std::deque<Message> mine;
  std::unique_lock lock(clique.mutex);
  if (comm.error != ncclSuccess) waited(lock, comm, [] { return false; });
  if (comm.aborted || clique.error != ncclSuccess) return;
  for (const Call& call : calls) {
    const bool sends = call.kind == Kind::Send;
    const std::pair key =
        sends ? std::pair(comm.rank, call.detail) : std::pair(call.detail, comm.rank);
    Message& message = mine.emplace_back(Message{call});
    std::deque<Message*>& others = (sends ? clique.wanted : clique.sent)[key];
    if (others.empty()) {
      (sends ? clique.sent : clique.wanted)[key].push_back(&message);
      continue;
    }
    Message& other = *others.front();
    others.pop_front();
    if (other.call.count != call.count || other.call.type != call.type) {
      disagree(clique, "a message of " + std::to_string(call.count) + " meets one of " +
                           std::to_string(other.call.count));
      return;
    }
    const Call& from = sends ? call : other.call;
    const Call& to = sends ? other.call : call;
    if (call.count > 0) std::memcpy(to.to, from.from, call.count * size_of(call.type));
    message.done = other.done = true;
    clique.changed.notify_all();
  }
  const auto all_done = [&] {
    return clique.error != ncclSuccess ||
           std::all_of(mine.begin(), mine.end(), [](const Message& m) { return m.done; });
  };
  if (waited(lock, comm, all_done)) return;
  for (auto* boxes : {&clique.sent, &clique.wanted}) {  // aborted: nobody may meet these any more
    for (auto& [key, box] : *boxes) {
      std::erase_if(box, [&](const Message* m) {
        return std::any_of(mine.begin(), mine.end(), [&](const Message& own) { return &own == m; });
      });
    }
  }
}

/// What a thread has said between the start and the end of a group.
struct Group {
  int depth = 0;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  std::vector<Call> calls;
};
thread_local Group group;

/// One launch on the stream: collectives in their order, then all messages together.
void issue(ncclComm& comm, const std::vector<Call>& calls, cudaStream_t stream) {
  ++comm.issued;
  enqueue(stream, [&comm, calls] {
    std::vector<Call> messages;
    for (const Call& call : calls) {
      if (call.kind == Kind::Send || call.kind == Kind::Receive) {
        messages.push_back(call);
      } else if (!comm.aborted) {
        meet(comm, call);
      }
    }
    if (!messages.empty() && !comm.aborted) exchange_messages(comm, messages);
    ++comm.done;
  });
}

ncclResult_t group_ended() {
  if (--group.depth > 0) return ncclSuccess;
  Group ended;
  std::swap(ended, group);
  if (ended.calls.empty()) return ncclSuccess;
  if (const int error = stored_failure("ncclGroupEnd")) return static_cast<ncclResult_t>(error);
  ncclComm& comm = *ended.comm;
  if (comm.error != ncclSuccess) return static_cast<ncclResult_t>(comm.error.load());
  if (comm.blocking) {
    issue(comm, ended.calls, ended.stream);
    return ncclSuccess;
  }
  comm.polls = 0;
  comm.to_issue = [&comm, ended] { issue(comm, ended.calls, ended.stream); };
  return ncclInProgress;
}

ncclResult_t said(const char* name, Call call, ncclComm_t comm, cudaStream_t stream) {
  if (!exists(name, comm)) return ncclInvalidArgument;
  if (comm->to_issue) {
    report(std::string(name) + ": the call before it is still in progress");
    return ncclInvalidUsage;
  }
  if (device_of(stream) != comm->device || current_device() != comm->device) {
    report(std::string(name) + ": another device than the communicator's");
    return ncclInvalidUsage;
  }
  if (comm->stream != nullptr && comm->stream != stream) {
    report(std::string(name) + ": a second stream for one communicator");
  }
  if (comm->blocking == false) comm->stream = stream;
  const bool simulated = comm->blocking;  // here blocking ones only estimate
  const std::size_t bytes = call.count * size_of(call.type);
  const std::size_t ranks = comm->clique->ranks.size();
  if (!simulated && call.from != nullptr) {
    require_memory(name, call.from, call.kind == Kind::ReduceScatter ? bytes * ranks : bytes,
                   stream);
  }
  if (!simulated && call.to != nullptr) {
    require_memory(name, call.to, call.kind == Kind::AllGather ? bytes * ranks : bytes, stream);
  }
  if (group.comm != nullptr && group.comm != comm) report("NCCL: a group of two communicators");
  group.comm = comm;
  group.stream = stream;
  group.calls.push_back(call);
  if (group.depth > 0) return ncclSuccess;
  ++group.depth;
  return group_ended();
}

void gone(ncclComm_t comm) {
  {
    const std::lock_guard lock(cliques().mutex);
    cliques().comms.erase(comm);
  }
  count_communicator(-1);
  take_memory(comm->device, -kMemoryOfCommunicator);
}

}  // namespace

namespace meshplan::played {

void break_communicators(int ordinal, ncclResult_t error) {
  const std::lock_guard lock(cliques().mutex);
  for (ncclComm_t comm : cliques().comms) {
    if (comm->device == ordinal) comm->error = error;
  }
}

}  // namespace meshplan::played

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error"
                                   : "another error";
}
const char* ncclGetLastError(ncclComm_t comm) {
  if (comm != nullptr) exists("ncclGetLastError", comm);
  return "as was played";
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (const int error = stored_failure("ncclGetUniqueId")) return static_cast<ncclResult_t>(error);
  const std::lock_guard lock(cliques().mutex);
  const std::uint64_t number = ++cliques().ids;
  std::memcpy(id->internal, &number, sizeof(number));
  return ncclSuccess;
}

/// A rank that fails is heard of by those that wait for it.
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  std::uint64_t number = 0;
  std::memcpy(&number, id.internal, sizeof(number));
  std::shared_ptr<Clique> clique;
  {
    const std::lock_guard lock(cliques().mutex);
    std::shared_ptr<Clique>& found = cliques().by_id[number];
    if (!found) {
      found = std::make_shared<Clique>();
      found->ranks.resize(static_cast<std::size_t>(ranks));
      found->missing = found->ranks.size();
    }
    clique = found;
  }
  if (const int error = stored_failure("ncclCommInitRankConfig")) {
    clique->error = ncclRemoteError;
    clique->changed.notify_all();
    return static_cast<ncclResult_t>(error);
  }
  {
    const std::lock_guard lock(cliques().mutex);
    cliques().ever.push_back(std::make_unique<ncclComm>());
    *comm = cliques().ever.back().get();
    cliques().comms.insert(*comm);
  }
  count_communicator(1);
  take_memory(current_device(), kMemoryOfCommunicator);
  ncclComm& made = **comm;
  made.clique = clique;
  made.rank = rank;
  made.device = current_device();
  made.blocking = config->blocking != 0;
  std::unique_lock lock(clique->mutex);
  for (const ncclComm_t other : clique->ranks) {
    if (other != nullptr && other->device == made.device) {
      report("NCCL: two ranks on one device");
      return ncclInvalidUsage;
    }
  }
  clique->ranks[static_cast<std::size_t>(rank)] = &made;
  --clique->missing;
  clique->changed.notify_all();
  if (!made.blocking) return ncclInProgress;
  const auto there = [&] { return clique->missing == 0 || clique->error != ncclSuccess; };
  if (!waited(lock, made, there)) return ncclInternalError;
  return static_cast<ncclResult_t>(clique->error.load());
}

/// Also what gets a call of a non-blocking communicator on: the second time it is issued.
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (!exists("ncclCommGetAsyncError", comm)) return ncclInvalidArgument;
  *error = static_cast<ncclResult_t>(comm->error.load());
  if (*error != ncclSuccess) return ncclSuccess;
  *error = static_cast<ncclResult_t>(comm->clique->error.load(std::memory_order_relaxed));
  if (*error != ncclSuccess) return ncclSuccess;
  if (comm->clique->missing.load(std::memory_order_relaxed) > 0) *error = ncclInProgress;
  if (comm->to_issue && *error == ncclSuccess) {
    if (++comm->polls < 2) {
      *error = ncclInProgress;
    } else {
      comm->to_issue();
      comm->to_issue = nullptr;
    }
  }
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (!exists("ncclCommDestroy", comm)) return ncclInvalidArgument;
  if (comm->to_issue || comm->issued != comm->done) {
    report("ncclCommDestroy: calls are still under way");
  }
  gone(comm);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (!exists("ncclCommAbort", comm)) return ncclInvalidArgument;
  comm->aborted = true;
  comm->clique->changed.notify_all();
  gone(comm);
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) {
    report("ncclGroupEnd: no group was started");
    return ncclInvalidUsage;
  }
  return group_ended();
}
/// A microsecond and a nanosecond an element.
ncclResult_t ncclGroupSimulateEnd(ncclSimInfo_t* info) {
  Group ended;
  std::swap(ended, group);
  if (ended.depth != 1 || ended.comm == nullptr) return ncclInvalidUsage;
  if (!ended.comm->blocking) {
    report("ncclGroupSimulateEnd: a communicator that is not blocking issues the call");
    return ncclInvalidUsage;
  }
  info->estimatedTime = 1;
  for (const Call& call : ended.calls) {
    info->estimatedTime += 1e-3F * static_cast<float>(call.count);
  }
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return said("ncclAllReduce", {Kind::AllReduce, from, to, count, type, op}, comm, stream);
}
ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return said("ncclAllGather", {Kind::AllGather, from, to, count, type, 0}, comm, stream);
}
ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return said("ncclReduceScatter", {Kind::ReduceScatter, from, to, count, type, op}, comm, stream);
}
ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return said("ncclBroadcast", {Kind::Broadcast, from, to, count, type, root}, comm, stream);
}
ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return said("ncclSend", {Kind::Send, from, nullptr, count, type, peer}, comm, stream);
}
ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return said("ncclRecv", {Kind::Receive, nullptr, to, count, type, peer}, comm, stream);
}
