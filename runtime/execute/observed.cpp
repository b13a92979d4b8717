#include "runtime/execute/observed.h"

#include <algorithm>

namespace meshplan::runtime {

/// Passes every call on.
class WatchedGroup final : public Communicator {
 public:
  WatchedGroup(CollectiveLog& log, std::unique_ptr<Communicator> group, planner::Axis axis)
      : log_(log), group_(std::move(group)), axis_(axis) {}

  [[nodiscard]] int rank() const override { return group_->rank(); }
  [[nodiscard]] int size() const override { return group_->size(); }
  [[nodiscard]] Queue queue() const override { return group_->queue(); }

  void all_reduce(Buffer elements, Reduction reduction) override {
    watch(CollectiveCall::AllReduce, elements, [&] { group_->all_reduce(elements, reduction); });
  }
  void all_gather(ConstBuffer mine, Buffer all) override {
    watch(CollectiveCall::AllGather, all, [&] { group_->all_gather(mine, all); });
  }
  void reduce_scatter(ConstBuffer all, Buffer mine) override {
    watch(CollectiveCall::ReduceScatter, all, [&] { group_->reduce_scatter(all, mine); });
  }
  void broadcast(Buffer elements, int root) override { group_->broadcast(elements, root); }
  void all_to_all(ConstBuffer mine, Buffer theirs) override { group_->all_to_all(mine, theirs); }
  void barrier() override { group_->barrier(); }
  void send(ConstBuffer elements, int peer, int tag) override { group_->send(elements, peer, tag); }
  void await(int peer, int tag) override { group_->await(peer, tag); }
  void receive(Buffer elements, int peer, int tag) override {
    group_->receive(elements, peer, tag);
  }
  void exchange(std::span<const Transfer> transfers) override { group_->exchange(transfers); }
  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override {
    return group_->split(colour, key, queue);
  }
  std::optional<profiles::Seconds> estimated(CollectiveCall call, std::size_t count,
                                             kernels::ElementType type) override {
    return group_->estimated(call, count, type);
  }
  void note(Place place) override { group_->note(place); }
  void fail(const std::string& reason) override { group_->fail(reason); }
  void look_for_failure() override { group_->look_for_failure(); }

 private:
  template <typename Run>
  void watch(CollectiveCall call, ConstBuffer whole, const Run& run) {
    if (size() == 1) return run();
    const Moment begin = log_.device_.record(queue());
    run();
    const Moment end = log_.device_.record(queue());
    const auto bytes = static_cast<std::int64_t>(whole.bytes());
    CollectiveLog::Calls& calls = log_.calls_[{axis_, call, bytes}];
    calls.group = group_.get();
    calls.elements = whole.count;
    calls.type = whole.type;
    calls.moments.emplace_back(begin, end);
  }

  CollectiveLog& log_;
  std::unique_ptr<Communicator> group_;
  planner::Axis axis_;
};

std::unique_ptr<Communicator> CollectiveLog::watched(std::unique_ptr<Communicator> group,
                                                     planner::Axis axis) {
  if (group == nullptr) return nullptr;
  return std::make_unique<WatchedGroup>(*this, std::move(group), axis);
}

void CollectiveLog::restart() { calls_.clear(); }

std::vector<CollectiveTime> CollectiveLog::times() {
  device_.wait();
  std::vector<CollectiveTime> out;
  for (const auto& [key, calls] : calls_) {
    std::vector<profiles::Seconds> took;
    for (const auto& [begin, end] : calls.moments) {
      took.push_back(device_.at(end) - device_.at(begin));
    }
    std::sort(took.begin(), took.end());
    const auto& [axis, call, bytes] = key;
    out.push_back({axis, call, calls.group->size(), bytes, static_cast<int>(took.size()),
                   took[(took.size() - 1) / 2], took.front(),
                   calls.group->estimated(call, calls.elements, calls.type)});
  }
  return out;
}

}  // namespace meshplan::runtime
