#include "runtime/execute/transfers.h"

#include <stdexcept>

#include "planner/layout/stage_split.h"
#include "planner/schedule/dependencies.h"

namespace meshplan::runtime {

using planner::Action;
using planner::Instruction;
using planner::Stream;

void PipelineTransfers::give(int chunk, int microbatch, bool forward, Tensor tensor) {
  made_[forward][{chunk, microbatch}] = std::move(tensor);
}

Communicator& PipelineTransfers::group_of(bool forward) const {
  return forward ? *context_.groups.pp_forward : *context_.groups.pp_backward;
}

int PipelineTransfers::tag(int receiving_chunk, int microbatch, bool forward) const {
  return (2 * receiving_chunk + (forward ? 1 : 0)) * context_.training.schedule.microbatches +
         microbatch;
}

Tensor PipelineTransfers::boundary(bool forward, Queue first_user) const {
  return {context_.device,
          context_.local_tokens(),
          context_.model().hidden,
          forward ? MemoryTerm::Activations : MemoryTerm::Communication,
          element_type(context_.training),
          first_user};
}

/// Takes what `chunk` made.
Tensor PipelineTransfers::taken(int chunk, int microbatch, bool forward) {
  const auto found = made_[forward].find({chunk, microbatch});
  if (found == made_[forward].end()) {
    throw std::logic_error("the schedule sends or uses what is not made yet");
  }
  Tensor tensor = std::move(found->second);
  made_[forward].erase(found);
  return tensor;
}

void PipelineTransfers::post(std::span<const Instruction> group, int instruction) {
  for (const bool forward : {true, false}) post(group, instruction, forward);
}

void PipelineTransfers::post(std::span<const Instruction> group, int instruction, bool forward) {
  Communicator& pp = group_of(forward);
  const Action sends = forward ? Action::SendForward : Action::SendBackward;
  const Action receives = forward ? Action::ReceiveForward : Action::ReceiveBackward;
  std::vector<Transfer> transfers;
  std::vector<Tensor> sent;
  std::vector<std::pair<Key, Tensor>> posted;
  std::vector<std::pair<Stream, int>> shown;  // stream and instruction
  for (std::size_t i = 0; i < group.size(); ++i) {
    const Instruction& t = group[i];
    const int at = instruction + static_cast<int>(i);
    if (t.action == sends) {
      const int to = forward ? t.chunk + 1 : t.chunk - 1;
      sent.push_back(taken(t.chunk, t.microbatch, forward));
      transfers.push_back(
          {Transfer::Kind::Send, t.peer, tag(to, t.microbatch, forward), sent.back().buffer()});
      shown.emplace_back(forward ? Stream::PipelineForward : Stream::PipelineBackward, at);
    } else if (t.action == receives && context_.device.asynchronous()) {
      posted.emplace_back(Key{t.chunk, t.microbatch}, boundary(forward, pp.queue()));
      transfers.push_back({Transfer::Kind::Receive, t.peer, tag(t.chunk, t.microbatch, forward),
                           posted.back().second.buffer()});
      shown.emplace_back(forward ? Stream::ReceiveForward : Stream::ReceiveBackward, at);
    }
  }
  if (transfers.empty()) return;
  const Moment end = context_.recorder.transferred(shown, pp, /*after_computing=*/!sent.empty(),
                                                   [&] { pp.exchange(transfers); });
  for (const Tensor& tensor : sent) context_.device.keep(tensor.owner(), end);
  for (auto& [key, tensor] : posted) received_[forward][key] = {std::move(tensor), end};
}

Tensor PipelineTransfers::take(int chunk, int microbatch, bool forward) {
  const int from = forward ? chunk - 1 : chunk + 1;
  const int peer = planner::owner_of_chunk(context_.layout(), from);
  if (peer == context_.groups.here.pp) return taken(from, microbatch, forward);
  if (context_.device.asynchronous()) {
    const auto found = received_[forward].find({chunk, microbatch});
    if (found == received_[forward].end()) {
      throw std::logic_error("the schedule uses what has not been received");
    }
    const Received received = std::move(found->second);
    received_[forward].erase(found);
    context_.recorder.after(received.there);
    return received.tensor;
  }
  Communicator& pp = group_of(forward);
  const Tensor tensor = boundary(forward, pp.queue());
  const int message = tag(chunk, microbatch, forward);
  context_.recorder.idle([&] { pp.await(peer, message); });
  context_.recorder.transferred(forward ? Stream::ReceiveForward : Stream::ReceiveBackward, pp,
                                [&] { pp.receive(tensor.buffer(), peer, message); });
  return tensor;
}

}  // namespace meshplan::runtime
