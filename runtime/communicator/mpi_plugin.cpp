#include "runtime/communicator/mpi_plugin.h"

#include <mpi.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <list>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace meshplan::runtime {
namespace {

using Clock = std::chrono::steady_clock;

void check(int status, const char* call) {
  if (status != MPI_SUCCESS) throw std::runtime_error(std::string(call) + " failed");
}

int count_of(std::size_t elements) {
  constexpr std::size_t kMost = 0x7fffffff;
  if (elements > kMost) throw std::runtime_error("more than 2^31 - 1 elements in one MPI message");
  return static_cast<int>(elements);
}

/// What a rank shows to the others of its node, in shared memory: they can read it even when the
/// rank no longer answers.
struct Slot {
  std::atomic<std::int64_t> place{-1};  ///< step << 32 | instruction
  std::atomic<int> failed{0};           ///< 1: reason is complete
  std::array<char, 256> reason{};
};

/// What the seats of one process share.
class World {
 public:
  explicit World(MpiOptions options) : options_(std::move(options)) {
    check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    share_slots();
  }

  [[nodiscard]] MPI_Comm comm() const { return comm_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] profiles::Seconds timeout() const { return options_.timeout; }

  void note(Place place) {
    mine_->place.store((static_cast<std::int64_t>(place.step) << 32) |
                           static_cast<std::uint32_t>(place.instruction),
                       std::memory_order_relaxed);
  }
  void fail(const std::string& reason) {
    if (mine_->failed.load() != 0) return;
    const std::size_t length = std::min(reason.size(), mine_->reason.size() - 1);
    std::memcpy(mine_->reason.data(), reason.data(), length);
    mine_->failed.store(1, std::memory_order_release);
  }
  /// Throws if any rank of this node has failed.
  void look_for_failure() const {
    for (int r = 0; r < size_; ++r) {
      if (slots_[r] != nullptr && slots_[r]->failed.load(std::memory_order_acquire) != 0) {
        throw failure(r, slots_[r]->reason.data());
      }
    }
  }
  [[nodiscard]] RankFailure failure(int rank, const std::string& reason) const {
    std::vector<Place> places;
    for (const Slot* slot : slots_) {
      const std::int64_t packed = slot ? slot->place.load(std::memory_order_relaxed) : -1;
      places.push_back(packed < 0 ? Place{}
                                  : Place{static_cast<std::int32_t>(packed >> 32),
                                          static_cast<std::int32_t>(packed & 0xffffffff)});
    }
    return {rank, reason, std::move(places), options_.in_words};
  }

  /// Polls `done` until it holds.
  template <typename Done>
  void wait(const char* where, const Done& done) {
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout());
    for (int polls = 1; !done(); ++polls) {
      // Progress is made by polling; with more ranks than cores others need the core.
      if (polls % 16 == 0) std::this_thread::yield();
      if (polls % 256 != 0) continue;
      look_for_failure();
      if (Clock::now() > deadline) {
        const std::string reason = "rank " + std::to_string(rank_) + " waited " +
                                   std::to_string(timeout().count()) + " s in " + where;
        fail(reason);
        throw failure(rank_, reason);
      }
    }
  }
  void wait_for(const char* where, MPI_Request& request) {
    wait(where, [&] {
      int done = 0;
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      return done != 0;
    });
  }

  /// Sends that MPI has not finished with; their buffers live here.
  struct Sending {
    std::vector<float> message;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  std::list<Sending>& sending() { return sending_; }
  void drop_finished_sends() {
    for (auto it = sending_.begin(); it != sending_.end();) {
      int done = 0;
      check(MPI_Test(&it->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      it = done != 0 ? sending_.erase(it) : std::next(it);
    }
  }
  void finish_sends() {
    for (Sending& s : sending_) wait_for("the end of a send", s.request);
    sending_.clear();
  }

 private:
  void share_slots() {
    MPI_Comm node = MPI_COMM_NULL;
    check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
          "MPI_Comm_split_type");
    void* memory = nullptr;
    check(MPI_Win_allocate_shared(sizeof(Slot), 1, MPI_INFO_NULL, node, &memory, &window_),
          "MPI_Win_allocate_shared");
    mine_ = new (memory) Slot;
    MPI_Barrier(node);
    // Which rank of the node is which rank of the world.
    int neighbours = 0;
    MPI_Comm_size(node, &neighbours);
    std::vector<int> ranks(neighbours);
    MPI_Allgather(&rank_, 1, MPI_INT, ranks.data(), 1, MPI_INT, node);
    slots_.assign(size_, nullptr);
    for (int n = 0; n < neighbours; ++n) {
      MPI_Aint bytes = 0;
      int unit = 0;
      void* theirs = nullptr;
      MPI_Win_shared_query(window_, n, &bytes, &unit, &theirs);
      slots_[ranks[n]] = static_cast<Slot*>(theirs);
    }
    MPI_Comm_free(&node);
  }

  MpiOptions options_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  MPI_Win window_ = MPI_WIN_NULL;
  int rank_ = 0, size_ = 1;
  Slot* mine_ = nullptr;
  std::vector<Slot*> slots_;  ///< by rank; null on other nodes
  std::list<Sending> sending_;
};

class Seat final : public Communicator {
 public:
  Seat(std::shared_ptr<World> world, MPI_Comm comm) : world_(std::move(world)), comm_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void all_reduce(std::span<float> elements, Reduction reduction) override {
    const MPI_Op op = reduction == Reduction::Sum ? MPI_SUM : MPI_MAX;
    collective("all_reduce", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, elements.data(), count_of(elements.size()), MPI_FLOAT, op,
                            comm_, request);
    });
  }

  void all_gather(std::span<const float> mine, std::span<float> all) override {
    require(all.size() == mine.size() * size_, "all_gather: the parts do not fill the whole");
    const bool in_place = mine.data() == all.data() + mine.size() * rank_;
    collective("all_gather", [&](MPI_Request* request) {
      const int count = count_of(mine.size());
      return MPI_Iallgather(in_place ? MPI_IN_PLACE : mine.data(), count, MPI_FLOAT, all.data(),
                            count, MPI_FLOAT, comm_, request);
    });
  }

  void reduce_scatter(std::span<const float> all, std::span<float> mine) override {
    require(all.size() == mine.size() * size_, "reduce_scatter: the parts do not fill the whole");
    // MPI forbids a result inside the input unless it is its beginning.
    std::vector<float> part(mine.size());
    collective("reduce_scatter", [&](MPI_Request* request) {
      return MPI_Ireduce_scatter_block(all.data(), part.data(), count_of(part.size()), MPI_FLOAT,
                                       MPI_SUM, comm_, request);
    });
    std::copy(part.begin(), part.end(), mine.begin());
  }

  void broadcast(std::span<float> elements, int root) override {
    collective("broadcast", [&](MPI_Request* request) {
      return MPI_Ibcast(elements.data(), count_of(elements.size()), MPI_FLOAT, root, comm_,
                        request);
    });
  }

  void all_to_all(std::span<const float> mine, std::span<float> theirs) override {
    require(mine.size() == theirs.size() && mine.size() % size_ == 0,
            "all_to_all: buffers are not size() equal parts");
    collective("all_to_all", [&](MPI_Request* request) {
      const int count = count_of(mine.size() / size_);
      return MPI_Ialltoall(mine.data(), count, MPI_FLOAT, theirs.data(), count, MPI_FLOAT, comm_,
                           request);
    });
  }

  void barrier() override {
    collective("barrier", [&](MPI_Request* request) { return MPI_Ibarrier(comm_, request); });
  }

  void send(std::span<const float> elements, int peer, int tag) override {
    world_->drop_finished_sends();
    World::Sending& sending =
        world_->sending().emplace_back(std::vector<float>(elements.begin(), elements.end()));
    check(MPI_Isend(sending.message.data(), count_of(elements.size()), MPI_FLOAT, peer, tag, comm_,
                    &sending.request),
          "MPI_Isend");
  }

  void await(int peer, int tag) override {
    world_->wait("receive", [&] {
      int there = 0;
      check(MPI_Iprobe(peer, tag, comm_, &there, MPI_STATUS_IGNORE), "MPI_Iprobe");
      return there != 0;
    });
  }

  void receive(std::span<float> elements, int peer, int tag) override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(elements.data(), count_of(elements.size()), MPI_FLOAT, peer, tag, comm_,
                    &request),
          "MPI_Irecv");
    world_->wait_for("receive", request);
  }

  void exchange(std::span<const Transfer> transfers) override {
    std::vector<MPI_Request> requests(transfers.size(), MPI_REQUEST_NULL);
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      const Transfer& t = transfers[i];
      const int count = count_of(t.elements.size());
      check(
          t.kind == Transfer::Kind::Send
              ? MPI_Isend(t.elements.data(), count, MPI_FLOAT, t.peer, t.tag, comm_, &requests[i])
              : MPI_Irecv(t.elements.data(), count, MPI_FLOAT, t.peer, t.tag, comm_, &requests[i]),
          "MPI_Isend or MPI_Irecv");
    }
    for (MPI_Request& request : requests) world_->wait_for("exchange", request);
  }

  std::unique_ptr<Communicator> split(int colour, int key) override {
    barrier();  // with a timeout, which MPI_Comm_split has not
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(comm_, colour, key, &part), "MPI_Comm_split");
    return std::make_unique<Seat>(world_, part);
  }

  void note(Place place) override { world_->note(place); }
  void fail(const std::string& reason) override { world_->fail(reason); }

 private:
  static void require(bool holds, const char* what) {
    if (!holds) throw std::logic_error(what);
  }
  template <typename Start>
  void collective(const char* where, const Start& start) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(start(&request), where);
    world_->wait_for(where, request);
  }

  std::shared_ptr<World> world_;
  MPI_Comm comm_;  ///< freed by MPI_Finalize: freeing is collective, and ranks may have failed
  int rank_ = 0, size_ = 1;
};

void run(const MpiOptions& options, const std::function<void(Communicator&)>& body) {
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  const auto world = std::make_shared<World>(options);
  try {
    Seat seat(world, world->comm());
    body(seat);
    world->finish_sends();
    seat.barrier();
  } catch (const RankFailure&) {
    throw;
  } catch (const std::exception& error) {
    const std::string reason = "rank " + std::to_string(world->rank()) + ": " + error.what();
    world->fail(reason);
    throw world->failure(world->rank(), reason);
  }
  check(MPI_Finalize(), "MPI_Finalize");
}

}  // namespace
}  // namespace meshplan::runtime

extern "C" __attribute__((visibility("default"))) void meshplan_run_over_mpi(
    const meshplan::runtime::MpiOptions& options,
    const std::function<void(meshplan::runtime::Communicator&)>& body) {
  meshplan::runtime::run(options, body);
}
