#include "runtime/communicator/mpi_seat.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

namespace meshplan::runtime::mpi {
namespace {

int count_of(std::size_t elements) {
  constexpr std::size_t kMost = 0x7fffffff;
  if (elements > kMost) throw std::runtime_error("more than 2^31 - 1 elements in one MPI message");
  return static_cast<int>(elements);
}

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace

Seat::Seat(std::shared_ptr<World> world, MPI_Comm comm) : world_(std::move(world)), comm_(comm) {
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

template <typename Start>
void Seat::collective(const char* where, const Start& start) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(start(&request), where);
  world_->wait_for(where, request);
}

void Seat::all_reduce(std::span<float> elements, Reduction reduction) {
  const MPI_Op op = reduction == Reduction::Sum ? MPI_SUM : MPI_MAX;
  collective("all_reduce", [&](MPI_Request* request) {
    return MPI_Iallreduce(MPI_IN_PLACE, elements.data(), count_of(elements.size()), MPI_FLOAT, op,
                          comm_, request);
  });
}

void Seat::all_gather(std::span<const float> mine, std::span<float> all) {
  require(all.size() == mine.size() * size_, "all_gather: the parts do not fill the whole");
  const bool in_place = mine.data() == all.data() + mine.size() * rank_;
  collective("all_gather", [&](MPI_Request* request) {
    const int count = count_of(mine.size());
    return MPI_Iallgather(in_place ? MPI_IN_PLACE : mine.data(), count, MPI_FLOAT, all.data(),
                          count, MPI_FLOAT, comm_, request);
  });
}

void Seat::reduce_scatter(std::span<const float> all, std::span<float> mine) {
  require(all.size() == mine.size() * size_, "reduce_scatter: the parts do not fill the whole");
  // MPI forbids a result inside the input unless it is its beginning.
  std::vector<float> part(mine.size());
  collective("reduce_scatter", [&](MPI_Request* request) {
    return MPI_Ireduce_scatter_block(all.data(), part.data(), count_of(part.size()), MPI_FLOAT,
                                     MPI_SUM, comm_, request);
  });
  std::copy(part.begin(), part.end(), mine.begin());
}

void Seat::broadcast(std::span<float> elements, int root) {
  collective("broadcast", [&](MPI_Request* request) {
    return MPI_Ibcast(elements.data(), count_of(elements.size()), MPI_FLOAT, root, comm_, request);
  });
}

void Seat::all_to_all(std::span<const float> mine, std::span<float> theirs) {
  require(mine.size() == theirs.size() && mine.size() % size_ == 0,
          "all_to_all: buffers are not size() equal parts");
  collective("all_to_all", [&](MPI_Request* request) {
    const int count = count_of(mine.size() / size_);
    return MPI_Ialltoall(mine.data(), count, MPI_FLOAT, theirs.data(), count, MPI_FLOAT, comm_,
                         request);
  });
}

void Seat::barrier() {
  collective("barrier", [&](MPI_Request* request) { return MPI_Ibarrier(comm_, request); });
}

void Seat::send(std::span<const float> elements, int peer, int tag) {
  world_->drop_finished_sends();
  World::Sending& sending =
      world_->sending().emplace_back(std::vector<float>(elements.begin(), elements.end()));
  check(MPI_Isend(sending.message.data(), count_of(elements.size()), MPI_FLOAT, peer, tag, comm_,
                  &sending.request),
        "MPI_Isend");
}

void Seat::await(int peer, int tag) {
  world_->wait("receive", [&] {
    int there = 0;
    check(MPI_Iprobe(peer, tag, comm_, &there, MPI_STATUS_IGNORE), "MPI_Iprobe");
    return there != 0;
  });
}

void Seat::receive(std::span<float> elements, int peer, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(
      MPI_Irecv(elements.data(), count_of(elements.size()), MPI_FLOAT, peer, tag, comm_, &request),
      "MPI_Irecv");
  world_->wait_for("receive", request);
}

void Seat::exchange(std::span<const Transfer> transfers) {
  std::vector<MPI_Request> requests(transfers.size(), MPI_REQUEST_NULL);
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    const Transfer& t = transfers[i];
    const int count = count_of(t.elements.size());
    check(t.kind == Transfer::Kind::Send
              ? MPI_Isend(t.elements.data(), count, MPI_FLOAT, t.peer, t.tag, comm_, &requests[i])
              : MPI_Irecv(t.elements.data(), count, MPI_FLOAT, t.peer, t.tag, comm_, &requests[i]),
          "MPI_Isend or MPI_Irecv");
  }
  for (MPI_Request& request : requests) world_->wait_for("exchange", request);
}

std::unique_ptr<Communicator> Seat::split(int colour, int key) {
  barrier();  // with a timeout, which MPI_Comm_split has not
  MPI_Comm part = MPI_COMM_NULL;
  check(MPI_Comm_split(comm_, colour, key, &part), "MPI_Comm_split");
  return std::make_unique<Seat>(world_, part);
}

}  // namespace meshplan::runtime::mpi
