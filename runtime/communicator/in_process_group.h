#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/communicator/in_process_world.h"

namespace meshplan::runtime::in_process {

/// The bytes of a message under way.
using Message = std::vector<std::byte>;

/// What the ranks of one group share: a place to meet, buffers that each shows to the others
/// between two meetings, and mail. Ranks are those in the group.
class Group {
 public:
  /// `members`: ranks in the world, in the group's order.
  Group(std::shared_ptr<World> world, std::vector<int> members);

  [[nodiscard]] World& world() const { return *world_; }
  [[nodiscard]] int size() const { return static_cast<int>(members_.size()); }
  [[nodiscard]] int world_rank(int rank) const { return members_[rank]; }

  /// Waits until all ranks of the group are here. What was shown before is visible after.
  /// `where` = the call, for the message of a failure.
  void meet(int rank, const char* where);

  void show(int rank, Buffer elements) { shown_[rank] = elements; }
  [[nodiscard]] Buffer shown(int rank) const { return shown_[rank]; }

  void post(int from, int to, int tag, Message message);
  /// Waits until a message lies there.
  void await_mail(int from, int to, int tag);
  [[nodiscard]] Message take_mail(int from, int to, int tag);

  /// The part of the ranks that name the same colour, and the rank in it. Collective.
  std::pair<std::shared_ptr<Group>, int> split(int rank, int colour, int key);

  /// Guards the reading of other ranks' buffers. A rank that leaves a collective because some rank
  /// has failed frees its buffers: it waits for the readers first, and after a failure nobody
  /// starts to read. (Both sides write their flag before they look at the other's, in one order
  /// for all.)
  class Reading {
   public:
    explicit Reading(Group& group);
    ~Reading() { --group_.readers_; }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    Group& group_;
  };

 private:
  using Address = std::tuple<int, int, int>;  ///< from, to, tag

  /// Waits, as `rank`, for `passed()` under `lock`; `absent()` names the ranks of the world that
  /// are waited for.
  void wait(std::unique_lock<std::mutex>& lock, int rank, const char* where,
            const std::function<bool()>& passed, const std::function<std::vector<int>()>& absent);
  void wait_for_mail(std::unique_lock<std::mutex>& lock, const Address& address);
  /// To be called after a failure, before buffers go away.
  void wait_for_readers() const;
  /// Ends a collective after a failure. What this rank has shown is not read any more.
  [[noreturn]] void leave();

  std::shared_ptr<World> world_;
  std::vector<int> members_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> arrived_;
  int missing_ = 0;
  std::atomic<std::uint64_t> generation_{0};
  std::vector<Buffer> shown_;
  std::atomic<int> readers_{0};  ///< ranks that read what others show at this moment
  std::map<Address, std::deque<Message>> mail_;
  std::vector<std::pair<int, int>> colour_and_key_;
  std::map<int, std::shared_ptr<Group>> parts_;  ///< by colour, of the split in progress
};

}  // namespace meshplan::runtime::in_process
