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

/// MPI has no bf16: where elements are only moved, they travel as 16-bit words.
MPI_Datatype moved(ConstBuffer buffer) {
  return buffer.type == kernels::ElementType::F32 ? MPI_FLOAT : MPI_UINT16_T;
}

void store(const std::vector<float>& values, Buffer to) {
  if (to.type == kernels::ElementType::F32) {
    std::copy(values.begin(), values.end(), static_cast<float*>(to.data));
  } else {
    std::transform(values.begin(), values.end(), static_cast<kernels::Bf16*>(to.data),
                   kernels::to_bf16);
  }
}

/// What sums are taken of: the buffer itself if it holds floats, else its values as floats.
class Floats {
 public:
  explicit Floats(ConstBuffer buffer) {
    if (buffer.type == kernels::ElementType::F32) {
      data_ = static_cast<float*>(const_cast<void*>(buffer.data));
      return;
    }
    const auto* values = static_cast<const kernels::Bf16*>(buffer.data);
    copy_.resize(buffer.count);
    std::transform(values, values + buffer.count, copy_.begin(), kernels::to_float);
    data_ = copy_.data();
  }
  [[nodiscard]] float* data() const { return data_; }
  void round_into(Buffer to) const {
    if (to.type != kernels::ElementType::F32) store(copy_, to);
  }

 private:
  std::vector<float> copy_;
  float* data_ = nullptr;
};

}  // namespace

Seat::Seat(std::shared_ptr<World> world, MPI_Comm comm, Queue queue)
    : world_(std::move(world)), comm_(comm), queue_(queue) {
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

template <typename Start>
void Seat::collective(const char* where, const Start& start) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(start(&request), where);
  world_->wait_for(where, request);
}

void Seat::all_reduce(Buffer elements, Reduction reduction) {
  const MPI_Op op = reduction == Reduction::Sum ? MPI_SUM : MPI_MAX;
  const Floats sums(elements);
  collective("all_reduce", [&](MPI_Request* request) {
    return MPI_Iallreduce(MPI_IN_PLACE, sums.data(), count_of(elements.count), MPI_FLOAT, op, comm_,
                          request);
  });
  sums.round_into(elements);
}

void Seat::all_gather(ConstBuffer mine, Buffer all) {
  require(all.count == mine.count * size_, "all_gather: the parts do not fill the whole");
  const bool in_place = mine.data == all.part(mine.count * rank_, mine.count).data;
  collective("all_gather", [&](MPI_Request* request) {
    const int count = count_of(mine.count);
    return MPI_Iallgather(in_place ? MPI_IN_PLACE : mine.data, count, moved(mine), all.data, count,
                          moved(mine), comm_, request);
  });
}

void Seat::reduce_scatter(ConstBuffer all, Buffer mine) {
  require(all.count == mine.count * size_, "reduce_scatter: the parts do not fill the whole");
  // MPI forbids a result inside the input unless it is its beginning.
  std::vector<float> part(mine.count);
  const Floats terms(all);
  collective("reduce_scatter", [&](MPI_Request* request) {
    return MPI_Ireduce_scatter_block(terms.data(), part.data(), count_of(part.size()), MPI_FLOAT,
                                     MPI_SUM, comm_, request);
  });
  store(part, mine);
}

void Seat::broadcast(Buffer elements, int root) {
  collective("broadcast", [&](MPI_Request* request) {
    return MPI_Ibcast(elements.data, count_of(elements.count), moved(elements), root, comm_,
                      request);
  });
}

void Seat::all_to_all(ConstBuffer mine, Buffer theirs) {
  require(mine.count == theirs.count && mine.count % size_ == 0,
          "all_to_all: buffers are not size() equal parts");
  collective("all_to_all", [&](MPI_Request* request) {
    const int count = count_of(mine.count / size_);
    return MPI_Ialltoall(mine.data, count, moved(mine), theirs.data, count, moved(mine), comm_,
                         request);
  });
}

void Seat::barrier() {
  collective("barrier", [&](MPI_Request* request) { return MPI_Ibarrier(comm_, request); });
}

void Seat::send(ConstBuffer elements, int peer, int tag) {
  world_->drop_finished_sends();
  const auto* bytes = static_cast<const std::byte*>(elements.data);
  World::Sending& sending =
      world_->sending().emplace_back(std::vector<std::byte>(bytes, bytes + elements.bytes()));
  check(MPI_Isend(sending.message.data(), count_of(elements.count), moved(elements), peer, tag,
                  comm_, &sending.request),
        "MPI_Isend");
}

void Seat::await(int peer, int tag) {
  world_->wait("receive", [&] {
    int there = 0;
    check(MPI_Iprobe(peer, tag, comm_, &there, MPI_STATUS_IGNORE), "MPI_Iprobe");
    return there != 0;
  });
}

void Seat::receive(Buffer elements, int peer, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Irecv(elements.data, count_of(elements.count), moved(elements), peer, tag, comm_,
                  &request),
        "MPI_Irecv");
  world_->wait_for("receive", request);
}

void Seat::exchange(std::span<const Transfer> transfers) {
  std::vector<MPI_Request> requests(transfers.size(), MPI_REQUEST_NULL);
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    const Transfer& t = transfers[i];
    const int count = count_of(t.elements.count);
    const MPI_Datatype type = moved(t.elements);
    check(t.kind == Transfer::Kind::Send
              ? MPI_Isend(t.elements.data, count, type, t.peer, t.tag, comm_, &requests[i])
              : MPI_Irecv(t.elements.data, count, type, t.peer, t.tag, comm_, &requests[i]),
          "MPI_Isend or MPI_Irecv");
  }
  for (MPI_Request& request : requests) world_->wait_for("exchange", request);
}

std::unique_ptr<Communicator> Seat::split(int colour, int key, Queue queue) {
  barrier();  // with a timeout, which MPI_Comm_split has not
  MPI_Comm part = MPI_COMM_NULL;
  check(MPI_Comm_split(comm_, colour, key, &part), "MPI_Comm_split");
  return std::make_unique<Seat>(world_, part, queue);
}

}  // namespace meshplan::runtime::mpi
