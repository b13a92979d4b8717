#include "runtime/cuda/nccl_seat.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {
namespace {

ncclDataType_t type_of(ConstBuffer buffer) {
  return buffer.type == kernels::ElementType::F32 ? ncclFloat32 : ncclBfloat16;
}

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace

NcclWatch::NcclWatch(Communicator& host) : host_(host), thread_([this] { watch(); }) {}

NcclWatch::~NcclWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  abort_all();  // of seats whose start failed halfway: a kernel may wait for a peer
}

void NcclWatch::guarded(const std::function<void()>& call) {
  const std::lock_guard lock(mutex_);
  if (aborted_) {
    host_.look_for_failure();
    throw Error("the communicators of this rank were aborted");
  }
  call();
}

void NcclWatch::add(ncclComm_t comm) {
  const std::lock_guard lock(mutex_);
  comms_.push_back(comm);
}

bool NcclWatch::end(ncclComm_t comm, bool quiet) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(comms_.begin(), comms_.end(), comm);
  if (found == comms_.end()) return false;  // aborted
  try {
    host_.look_for_failure();
  } catch (...) {
    quiet = false;
  }
  ncclResult_t state = ncclSuccess;
  quiet = quiet && ncclCommGetAsyncError(comm, &state) == ncclSuccess && state == ncclSuccess;
  if (!quiet) {
    abort_all();
    return false;
  }
  comms_.erase(found);
  ncclCommDestroy(comm);
  return true;
}

void NcclWatch::note(const char* call) {
  const std::lock_guard lock(mutex_);
  call_ = call;
  ++calls_;
}

void NcclWatch::abort_all() {
  for (ncclComm_t comm : comms_) ncclCommAbort(comm);
  comms_.clear();
  aborted_ = true;
}

void NcclWatch::watch() {
  constexpr auto kGlance = std::chrono::milliseconds(100);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    changed_.wait_for(lock, kGlance);
    if (stop_ || aborted_) continue;
    for (ncclComm_t comm : comms_) {
      ncclResult_t state = ncclSuccess;
      if (ncclCommGetAsyncError(comm, &state) != ncclSuccess) continue;
      if (state == ncclSuccess || state == ncclInProgress) continue;
      host_.fail("rank " + std::to_string(host_.rank()) + ": NCCL: " + ncclGetErrorString(state) +
                 " (" + ncclGetLastError(comm) + "); the last of its " + std::to_string(calls_) +
                 " calls was " + call_);
      break;
    }
    try {
      host_.look_for_failure();
    } catch (...) {
      abort_all();
    }
  }
}

NcclSeat::NcclSeat(CudaDevice& device, Communicator& host, bool alone)
    : device_(device),
      host_(host),
      watch_(std::make_shared<NcclWatch>(host)),
      queue_(Queue::Compute),
      alone_(alone) {
  start();
}

NcclSeat::NcclSeat(CudaDevice& device, std::unique_ptr<Communicator> host,
                   std::shared_ptr<NcclWatch> watch, Queue queue, bool alone)
    : device_(device),
      owned_(std::move(host)),
      host_(*owned_),
      watch_(std::move(watch)),
      queue_(queue),
      alone_(alone) {
  start();
}

NcclSeat::~NcclSeat() {
  // A rank that throws has told nobody yet: its peers may never come to what was issued.
  bool quiet = std::uncaught_exceptions() == 0;
  try {
    if (comm_ != nullptr && quiet) device_.wait_for(queue_, "the last call of a communicator");
  } catch (const std::exception&) {
    quiet = false;
  }
  end(quiet);
}

void NcclSeat::end(bool quiet) {
  if (estimator_ != nullptr) quiet = watch_->end(estimator_, quiet);
  if (comm_ != nullptr) quiet = watch_->end(comm_, quiet);
  // What was aborted ends now; until then it may still use the memory of this seat.
  if (!quiet) cudaStreamSynchronize(stream());
}

/// Each group starts from an id of its own, made by its first rank: groups of one split start
/// side by side, and a group of one rank costs nothing.
ncclUniqueId NcclSeat::shared_id() {
  ncclUniqueId id{};
  if (rank() == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId", nullptr);
  constexpr std::size_t kFloats = sizeof(id) / sizeof(float);
  std::array<float, kFloats> message{};
  std::memcpy(message.data(), &id, sizeof(id));
  host_.broadcast(message, 0);
  std::memcpy(&id, message.data(), sizeof(id));
  return id;
}

void NcclSeat::start() {
  if (size() == 1 && !alone_) return;
  const ncclUniqueId id = shared_id();
  device_.measure_communicator([&] {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t status = ncclCommInitRankConfig(&comm_, size(), id, rank(), &config);
    if (comm_ != nullptr) watch_->add(comm_);
    try {
      check(status, "ncclCommInitRankConfig", nullptr);
      wait_until_issued("a communicator of " + std::to_string(size()) + " ranks to start");
      flag_ = device_memory({sizeof(float)});
      // On the stream that reads it: the default stream would not come before.
      check(cudaMemsetAsync(flag_.get(), 0, sizeof(float), stream()), "cudaMemsetAsync");
      // The first calls connect the ranks, which takes memory and time that belong to the start.
      barrier();
      device_.wait_for(queue_, "a communicator to connect");
    } catch (...) {
      end(/*quiet=*/false);
      throw;
    }
  });
}

void NcclSeat::wait_until_issued(const std::string& what) {
  const auto issued = [&] {
    ncclResult_t state = ncclInProgress;
    watch_->guarded([&] {
      check(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError", comm_);
      check(state, what, comm_);
    });
    return state != ncclInProgress;
  };
  if (!issued()) device_.poll(what, issued);
}

void NcclSeat::issue(const char* name, const std::function<ncclResult_t()>& call) {
  watch_->note(name);
  // Checked under the guard, since an aborted communicator cannot tell what was wrong.
  watch_->guarded([&] { check(call(), name, comm_); });
  // A non-blocking communicator may still be issuing: other work on the stream comes after it.
  wait_until_issued(name);
}

void NcclSeat::copy(ConstBuffer from, Buffer to) {
  if (from.empty() || from.data == to.data) return;
  check(cudaMemcpyAsync(to.data, from.data, from.bytes(), cudaMemcpyDeviceToDevice, stream()),
        "cudaMemcpyAsync");
}

void NcclSeat::all_reduce(Buffer elements, Reduction reduction) {
  if (comm_ == nullptr || elements.empty()) return;
  issue("all_reduce", [&] {
    return ncclAllReduce(elements.data, elements.data, elements.count, type_of(elements),
                         reduction == Reduction::Sum ? ncclSum : ncclMax, comm_, stream());
  });
}

void NcclSeat::all_gather(ConstBuffer mine, Buffer all) {
  require(all.count == mine.count * static_cast<std::size_t>(size()),
          "all_gather: the parts do not fill the whole");
  if (comm_ == nullptr) return copy(mine, all);
  issue("all_gather", [&] {
    return ncclAllGather(mine.data, all.data, mine.count, type_of(mine), comm_, stream());
  });
}

void NcclSeat::reduce_scatter(ConstBuffer all, Buffer mine) {
  require(all.count == mine.count * static_cast<std::size_t>(size()),
          "reduce_scatter: the parts do not fill the whole");
  if (comm_ == nullptr) return copy(all, mine);
  issue("reduce_scatter", [&] {
    return ncclReduceScatter(all.data, mine.data, mine.count, type_of(mine), ncclSum, comm_,
                             stream());
  });
}

void NcclSeat::broadcast(Buffer elements, int root) {
  if (comm_ == nullptr) return;
  issue("broadcast", [&] {
    return ncclBroadcast(elements.data, elements.data, elements.count, type_of(elements), root,
                         comm_, stream());
  });
}

void NcclSeat::all_to_all(ConstBuffer mine, Buffer theirs) {
  const auto ranks = static_cast<std::size_t>(size());
  require(mine.count == theirs.count && mine.count % ranks == 0,
          "all_to_all: buffers are not size() equal parts");
  if (comm_ == nullptr) return copy(mine, theirs);
  const std::size_t width = mine.count / ranks;
  issue("all_to_all", [&] {
    ncclGroupStart();
    for (std::size_t r = 0; r < ranks; ++r) {
      const int peer = static_cast<int>(r);
      ncclSend(mine.part(r * width, width).data, width, type_of(mine), peer, comm_, stream());
      ncclRecv(theirs.part(r * width, width).data, width, type_of(mine), peer, comm_, stream());
    }
    return ncclGroupEnd();
  });
}

void NcclSeat::barrier() {
  if (comm_ == nullptr) return;
  issue("barrier", [&] {
    return ncclAllReduce(flag_.get(), flag_.get(), 1, ncclFloat32, ncclSum, comm_, stream());
  });
}

void NcclSeat::send(ConstBuffer elements, int peer, int /*tag*/) {
  require(comm_ != nullptr, "send: a group of one rank");
  issue("send", [&] {
    return ncclSend(elements.data, elements.count, type_of(elements), peer, comm_, stream());
  });
}

void NcclSeat::receive(Buffer elements, int peer, int /*tag*/) {
  require(comm_ != nullptr, "receive: a group of one rank");
  issue("receive", [&] {
    return ncclRecv(elements.data, elements.count, type_of(elements), peer, comm_, stream());
  });
}

void NcclSeat::exchange(std::span<const Transfer> transfers) {
  if (transfers.empty()) return;
  require(comm_ != nullptr, "exchange: a group of one rank");
  issue("exchange", [&] {
    ncclGroupStart();
    for (const Transfer& t : transfers) {
      const Buffer& b = t.elements;
      if (t.kind == Transfer::Kind::Send) {
        ncclSend(b.data, b.count, type_of(b), t.peer, comm_, stream());
      } else {
        ncclRecv(b.data, b.count, type_of(b), t.peer, comm_, stream());
      }
    }
    return ncclGroupEnd();  // tells what went wrong inside the group
  });
}

std::unique_ptr<Communicator> NcclSeat::split(int colour, int key, Queue queue) {
  return std::unique_ptr<Communicator>(
      new NcclSeat(device_, host_.split(colour, key), watch_, queue, alone_));
}

ncclComm_t NcclSeat::start_blocking() {
  struct Start {
    ncclUniqueId id{};
    ncclComm_t comm = nullptr;
    ncclResult_t status = ncclInProgress;
    std::atomic<bool> done = false;
  };
  const auto start = std::make_shared<Start>();
  start->id = shared_id();
  std::thread([start, rank = rank(), size = size(), ordinal = device_.ordinal()] {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 1;
    start->status = ncclUnhandledCudaError;
    if (cudaSetDevice(ordinal) == cudaSuccess) {
      start->status = ncclCommInitRankConfig(&start->comm, size, start->id, rank, &config);
    }
    if (start->status != ncclSuccess && start->comm != nullptr) ncclCommAbort(start->comm);
    start->done = true;
  }).detach();
  // A run does without estimates, so a start that hangs is left behind before peers lose patience.
  const auto begin = std::chrono::steady_clock::now();
  device_.poll("a communicator for estimates to start", [&] {
    return start->done.load() || std::chrono::steady_clock::now() - begin > device_.timeout() / 2;
  });
  return start->done && start->status == ncclSuccess ? start->comm : nullptr;
}

std::optional<profiles::Seconds> NcclSeat::estimated(CollectiveCall call, std::size_t count,
                                                     kernels::ElementType type) {
  if (comm_ == nullptr || size() == 1 || no_estimator_) return std::nullopt;
  if (estimator_ == nullptr) {
    estimator_ = start_blocking();
    no_estimator_ = estimator_ == nullptr;
    if (no_estimator_) return std::nullopt;
    watch_->add(estimator_);
  }
  ncclSimInfo_t info = NCCL_SIM_INFO_INITIALIZER;
  const ncclDataType_t nccl_type = type_of(ConstBuffer(flag_.get(), count, type));
  const std::size_t part = count / static_cast<std::size_t>(size());
  // Nothing is read or written, so any memory of the device will do.
  void* const any = flag_.get();
  ncclResult_t status = ncclSuccess;
  watch_->guarded([&] {
    ncclGroupStart();
    switch (call) {
      case CollectiveCall::AllReduce:
        ncclAllReduce(any, any, count, nccl_type, ncclSum, estimator_, stream());
        break;
      case CollectiveCall::AllGather:
        ncclAllGather(any, any, part, nccl_type, estimator_, stream());
        break;
      case CollectiveCall::ReduceScatter:
        ncclReduceScatter(any, any, part, nccl_type, ncclSum, estimator_, stream());
        break;
    }
    status = ncclGroupSimulateEnd(&info);
  });
  if (status != ncclSuccess || !(info.estimatedTime > 0)) return std::nullopt;
  return profiles::Seconds{static_cast<double>(info.estimatedTime) * 1e-6};  // microseconds
}

}  // namespace meshplan::runtime::cuda
