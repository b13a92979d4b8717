#include "runtime/communicator/in_process_group.h"

#include <algorithm>
#include <string>
#include <thread>

namespace meshplan::runtime::in_process {
namespace {

/// Spins of a meeting before it sleeps, when every rank has a core: about a millisecond. After 20
/// us the sleeping and waking of a decoding step's meetings took 0.3 to 0.8 ms, so 0.1 ms.
constexpr int kSpins = 100000;

/// Gives a lock up for a scope.
class Relock {
 public:
  explicit Relock(std::unique_lock<std::mutex>& lock) : lock_(lock) { lock_.unlock(); }
  ~Relock() { lock_.lock(); }
  Relock(const Relock&) = delete;
  Relock& operator=(const Relock&) = delete;

 private:
  std::unique_lock<std::mutex>& lock_;
};

}  // namespace

Group::Group(std::shared_ptr<World> world, std::vector<int> members)
    : world_(std::move(world)),
      members_(std::move(members)),
      arrived_(members_.size(), false),
      missing_(static_cast<int>(members_.size())),
      shown_(members_.size()),
      colour_and_key_(members_.size()) {}

void Group::meet(int rank, const char* where) {
  if (size() == 1) return;
  const std::uint64_t mine = generation_.load(std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    arrived_[rank] = true;
    if (--missing_ == 0) {
      missing_ = size();
      arrived_.assign(arrived_.size(), false);
      generation_.store(mine + 1, std::memory_order_release);
    }
  }
  const auto passed = [&] { return generation_.load(std::memory_order_acquire) != mine; };
  if (passed()) {
    changed_.notify_all();
    return;
  }
  if (world_->spins()) {
    for (int i = 0; i < kSpins; ++i) {
      if (passed()) return;
      if (i % 64 != 63) continue;
      if (world_->failed()) break;
      std::this_thread::yield();
    }
  }
  std::unique_lock lock(mutex_);
  wait(lock, rank, where, passed, [&] {
    std::vector<int> absent;
    for (int r = 0; r < size(); ++r) {
      if (!arrived_[r]) absent.push_back(members_[r]);
    }
    return absent;
  });
}

void Group::post(int from, int to, int tag, Message message) {
  {
    const std::lock_guard lock(mutex_);
    mail_[{from, to, tag}].push_back(std::move(message));
  }
  changed_.notify_all();
}

void Group::await_mail(int from, int to, int tag) {
  std::unique_lock lock(mutex_);
  wait_for_mail(lock, {from, to, tag});
}

Message Group::take_mail(int from, int to, int tag) {
  std::unique_lock lock(mutex_);
  wait_for_mail(lock, {from, to, tag});
  const auto box = mail_.find({from, to, tag});
  Message message = std::move(box->second.front());
  box->second.pop_front();
  if (box->second.empty()) mail_.erase(box);
  return message;
}

std::pair<std::shared_ptr<Group>, int> Group::split(int rank, int colour, int key) {
  {
    const std::lock_guard lock(mutex_);
    colour_and_key_[rank] = {colour, key};
  }
  meet(rank, "split");
  std::vector<std::pair<int, int>> order;  // (key, rank in this group)
  for (int r = 0; r < size(); ++r) {
    if (colour_and_key_[r].first == colour) order.emplace_back(colour_and_key_[r].second, r);
  }
  std::sort(order.begin(), order.end());
  const auto me = std::find_if(order.begin(), order.end(),
                               [&](const auto& entry) { return entry.second == rank; });
  std::shared_ptr<Group> part;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = parts_[colour];
    if (!slot) {
      std::vector<int> members;
      for (const auto& entry : order) members.push_back(members_[entry.second]);
      slot = std::make_shared<Group>(world_, std::move(members));
    }
    part = slot;
  }
  meet(rank, "split");
  if (rank == 0) {
    const std::lock_guard lock(mutex_);
    parts_.clear();
  }
  meet(rank, "split");
  return {std::move(part), static_cast<int>(me - order.begin())};
}

Group::Reading::Reading(Group& group) : group_(group) {
  ++group_.readers_;
  if (!group_.world_->failed()) return;
  --group_.readers_;
  group_.leave();
}

void Group::wait_for_readers() const {
  while (readers_.load() != 0) std::this_thread::yield();
}

void Group::leave() {
  wait_for_readers();
  world_->throw_failure();
}

void Group::wait_for_mail(std::unique_lock<std::mutex>& lock, const Address& address) {
  wait(
      lock, std::get<1>(address), "receive", [&] { return mail_.contains(address); },
      [&] { return std::vector<int>{members_[std::get<0>(address)]}; });
}

void Group::wait(std::unique_lock<std::mutex>& lock, int rank, const char* where,
                 const std::function<bool()>& passed,
                 const std::function<std::vector<int>()>& absent) {
  if (passed()) return;
  // The turn is taken back without the group's mutex, which would keep others from arriving.
  const Relock relock(lock);
  const WaitingTurn turn(*world_, members_[rank]);
  std::unique_lock inner(mutex_);
  const auto deadline = Clock::now() + world_->options().timeout;
  while (!passed()) {
    if (world_->failed()) {
      inner.unlock();
      leave();
    }
    if (Clock::now() > deadline) {
      const std::vector<int> ranks = absent();
      inner.unlock();
      std::string names;
      for (int r : ranks) names += (names.empty() ? "" : ", ") + std::to_string(r);
      world_->fail(ranks.empty() ? members_[rank] : ranks.front(),
                   "rank " + std::to_string(members_[rank]) + " waited " +
                       std::to_string(world_->options().timeout.count()) + " s in " + where +
                       " for rank " + names);
      leave();
    }
    changed_.wait_for(inner, kGlance);
  }
}

}  // namespace meshplan::runtime::in_process
