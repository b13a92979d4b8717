#include "runtime/communicator/in_process.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace meshplan::runtime {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// How often a wait looks whether another rank has failed.
constexpr auto kGlance = 20ms;
/// Spins of a barrier before it sleeps, when every rank has a core: about 20 microseconds.
constexpr int kSpins = 2000;
/// Time that ranks get to end after a failure before their threads are left behind.
constexpr auto kGrace = 1s;

struct RankState {
  std::atomic<std::int64_t> place{-1};  ///< step << 32 | instruction
  std::atomic<Clock::rep> heard{0};     ///< last note(), for ranks that do not wait
  std::atomic<bool> waiting{true};
  std::atomic<bool> finished{false};
};

/// What all ranks of a run share: who is where, and who failed.
class World {
 public:
  World(int ranks, InProcessOptions options) : options_(std::move(options)), ranks_(ranks) {
    for (RankState& rank : ranks_) rank.heard = now();
  }

  [[nodiscard]] const InProcessOptions& options() const { return options_; }
  [[nodiscard]] int size() const { return static_cast<int>(ranks_.size()); }
  [[nodiscard]] bool spins() const {
    return !options_.take_turns && ranks_.size() <= std::thread::hardware_concurrency();
  }
  [[nodiscard]] RankState& rank(int r) { return ranks_[r]; }
  [[nodiscard]] bool failed() const { return failed_.load(); }

  void note(int r, Place place) {
    ranks_[r].place.store((static_cast<std::int64_t>(place.step) << 32) |
                              static_cast<std::uint32_t>(place.instruction),
                          std::memory_order_relaxed);
    ranks_[r].heard.store(now(), std::memory_order_relaxed);
  }

  /// The first failure counts.
  void fail(int r, const std::string& reason) {
    const std::lock_guard lock(failure_mutex_);
    if (failure_) return;
    std::vector<Place> places;
    for (RankState& state : ranks_) {
      const std::int64_t packed = state.place.load(std::memory_order_relaxed);
      places.push_back(packed < 0 ? Place{}
                                  : Place{static_cast<std::int32_t>(packed >> 32),
                                          static_cast<std::int32_t>(packed & 0xffffffff)});
    }
    failure_.emplace(r, reason, std::move(places), options_.in_words);
    failed_.store(true);
  }
  [[noreturn]] void throw_failure() {
    const std::lock_guard lock(failure_mutex_);
    throw RankFailure(*failure_);
  }

  /// Rank `r` stops waiting; with turns, as soon as no other rank runs (or one has failed).
  void begin_turn(int r) {
    if (options_.take_turns) {
      std::unique_lock lock(turn_mutex_);
      while (turn_taken_ && !failed()) turn_ended_.wait_for(lock, kGlance);
      turn_taken_ = true;
    }
    ranks_[r].heard = now();
    ranks_[r].waiting = false;
  }
  void end_turn(int r) {
    ranks_[r].waiting = true;
    if (options_.take_turns) {
      const std::lock_guard lock(turn_mutex_);
      turn_taken_ = false;
      turn_ended_.notify_one();
    }
  }

  /// A rank that computes without a word for longer than the timeout.
  std::optional<int> stalled() {
    for (int r = 0; r < size(); ++r) {
      const RankState& state = ranks_[r];
      if (state.finished || state.waiting) continue;
      if (Clock::duration(now() - state.heard) > options_.timeout) return r;
    }
    return std::nullopt;
  }

  static Clock::rep now() { return Clock::now().time_since_epoch().count(); }

 private:
  InProcessOptions options_;
  std::vector<RankState> ranks_;
  std::mutex turn_mutex_;
  std::condition_variable turn_ended_;
  bool turn_taken_ = false;
  std::mutex failure_mutex_;
  std::optional<RankFailure> failure_;
  std::atomic<bool> failed_{false};
};

/// What the ranks of one group share.
struct Group {
  std::shared_ptr<World> world;
  std::vector<int> members;  ///< ranks in the world

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<bool> arrived;
  int missing = 0;
  std::atomic<std::uint64_t> generation{0};
  /// What each rank shows to the others between two barriers.
  std::vector<std::span<float>> shown;
  /// Ranks that read what others show at this moment.
  std::atomic<int> readers{0};
  std::vector<std::pair<int, int>> colour_and_key;
  std::map<int, std::shared_ptr<Group>> parts;  ///< by colour, of the split in progress
  /// (from, to, tag) -> messages under way.
  std::map<std::tuple<int, int, int>, std::deque<std::vector<float>>> mail;

  Group(std::shared_ptr<World> w, std::vector<int> ranks)
      : world(std::move(w)),
        members(std::move(ranks)),
        arrived(members.size(), false),
        missing(static_cast<int>(members.size())),
        shown(members.size()),
        colour_and_key(members.size()) {}
};

/// Guards the reading of other ranks' buffers. A rank that leaves a collective because some rank
/// has failed frees its buffers: it waits for the readers first, and after a failure nobody starts
/// to read. (Both sides write their flag before they look at the other's, in one order for all.)
class Reading {
 public:
  explicit Reading(Group& group) : group_(group) {
    ++group_.readers;
    if (!group_.world->failed()) return;
    --group_.readers;
    wait_for_end(group_);
    group_.world->throw_failure();
  }
  ~Reading() { --group_.readers; }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  /// To be called after a failure, before buffers go away.
  static void wait_for_end(const Group& group) {
    while (group.readers.load() != 0) std::this_thread::yield();
  }

 private:
  Group& group_;
};

/// Lets others take their turn while this rank waits.
class WaitingTurn {
 public:
  WaitingTurn(World& world, int rank) : world_(world), rank_(rank) { world_.end_turn(rank_); }
  ~WaitingTurn() { world_.begin_turn(rank_); }
  WaitingTurn(const WaitingTurn&) = delete;
  WaitingTurn& operator=(const WaitingTurn&) = delete;

 private:
  World& world_;
  int rank_;
};

class Seat final : public Communicator {
 public:
  Seat(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return static_cast<int>(group_->members.size()); }

  void all_reduce(std::span<float> elements, Reduction reduction) override {
    if (size() == 1) return;
    show(elements);
    meet("all_reduce");
    // Only rank r reads or writes part r of anybody's buffer before the next barrier, and only
    // other parts of its own buffer after it: in place without copies.
    const std::span<float> mine = part(elements, rank_);
    reduce_into(mine, reduction, part_begin(elements.size(), rank_));
    meet("all_reduce");
    {
      const Reading reading(*group_);
      for (int r = 0; r < size(); ++r) {
        if (r != rank_) copy(part(group_->shown[r], r), part(elements, r));
      }
    }
    meet("all_reduce");
  }

  void all_gather(std::span<const float> mine, std::span<float> all) override {
    require(all.size() == mine.size() * size(), "all_gather: the parts do not fill the whole");
    show(writable(mine));
    meet("all_gather");
    {
      const Reading reading(*group_);
      for (int r = 0; r < size(); ++r) {
        copy(group_->shown[r], all.subspan(r * mine.size(), mine.size()));
      }
    }
    meet("all_gather");
  }

  void reduce_scatter(std::span<const float> all, std::span<float> mine) override {
    require(all.size() == mine.size() * size(), "reduce_scatter: the parts do not fill the whole");
    show(writable(all));
    meet("reduce_scatter");
    reduce_into(mine, Reduction::Sum, mine.size() * rank_);
    meet("reduce_scatter");
  }

  void broadcast(std::span<float> elements, int root) override {
    show(elements);
    meet("broadcast");
    if (rank_ != root) {
      const Reading reading(*group_);
      copy(group_->shown[root], elements);
    }
    meet("broadcast");
  }

  void all_to_all(std::span<const float> mine, std::span<float> theirs) override {
    require(mine.size() == theirs.size() && mine.size() % size() == 0,
            "all_to_all: buffers are not size() equal parts");
    show(writable(mine));
    meet("all_to_all");
    const std::size_t width = mine.size() / size();
    {
      const Reading reading(*group_);
      for (int r = 0; r < size(); ++r) {
        copy(group_->shown[r].subspan(rank_ * width, width), theirs.subspan(r * width, width));
      }
    }
    meet("all_to_all");
  }

  void barrier() override { meet("barrier"); }

  void send(std::span<const float> elements, int peer, int tag) override {
    std::vector<float> message(elements.begin(), elements.end());
    {
      const std::lock_guard lock(group_->mutex);
      group_->mail[{rank_, peer, tag}].push_back(std::move(message));
    }
    group_->changed.notify_all();
  }

  void await(int peer, int tag) override {
    std::unique_lock lock(group_->mutex);
    wait_for_mail(lock, peer, tag);
  }

  void receive(std::span<float> elements, int peer, int tag) override {
    std::vector<float> message;
    {
      std::unique_lock lock(group_->mutex);
      wait_for_mail(lock, peer, tag);
      const auto box = group_->mail.find({peer, rank_, tag});
      message = std::move(box->second.front());
      box->second.pop_front();
      if (box->second.empty()) group_->mail.erase(box);
    }
    require(message.size() == elements.size(), "receive: the message has another size");
    copy(message, elements);
  }

  void exchange(std::span<const Transfer> transfers) override {
    for (const Transfer& t : transfers) {
      if (t.kind == Transfer::Kind::Send) send(t.elements, t.peer, t.tag);
    }
    for (const Transfer& t : transfers) {
      if (t.kind == Transfer::Kind::Receive) receive(t.elements, t.peer, t.tag);
    }
  }

  std::unique_ptr<Communicator> split(int colour, int key) override {
    {
      const std::lock_guard lock(group_->mutex);
      group_->colour_and_key[rank_] = {colour, key};
    }
    meet("split");
    std::vector<std::pair<int, int>> order;  // (key, rank in this group)
    for (int r = 0; r < size(); ++r) {
      if (group_->colour_and_key[r].first == colour) {
        order.emplace_back(group_->colour_and_key[r].second, r);
      }
    }
    std::sort(order.begin(), order.end());
    const auto me = std::find_if(order.begin(), order.end(),
                                 [&](const auto& entry) { return entry.second == rank_; });
    std::shared_ptr<Group> part;
    {
      const std::lock_guard lock(group_->mutex);
      auto& slot = group_->parts[colour];
      if (!slot) {
        std::vector<int> members;
        for (const auto& entry : order) members.push_back(group_->members[entry.second]);
        slot = std::make_shared<Group>(group_->world, std::move(members));
      }
      part = slot;
    }
    meet("split");
    if (rank_ == 0) {
      const std::lock_guard lock(group_->mutex);
      group_->parts.clear();
    }
    meet("split");
    return std::make_unique<Seat>(std::move(part), static_cast<int>(me - order.begin()));
  }

  void note(Place place) override { world().note(world_rank(), place); }
  void fail(const std::string& reason) override { world().fail(world_rank(), reason); }

 private:
  [[nodiscard]] World& world() const { return *group_->world; }
  [[nodiscard]] int world_rank() const { return group_->members[rank_]; }

  static void require(bool holds, const char* what) {
    if (!holds) throw std::logic_error(what);
  }
  /// Buffers are shown as writable spans; those that came in as const are only read.
  static std::span<float> writable(std::span<const float> elements) {
    return {const_cast<float*>(elements.data()), elements.size()};
  }
  static void copy(std::span<const float> from, std::span<float> to) {
    // In-place calls name the same memory, which others may read at this moment.
    if (from.empty() || from.data() == to.data()) return;
    std::memcpy(to.data(), from.data(), from.size_bytes());
  }

  /// First element of part `r` of n elements: parts differ by at most one element.
  [[nodiscard]] std::size_t part_begin(std::size_t n, int r) const { return n * r / size(); }
  [[nodiscard]] std::span<float> part(std::span<float> elements, int r) const {
    const std::size_t begin = part_begin(elements.size(), r);
    return elements.subspan(begin, part_begin(elements.size(), r + 1) - begin);
  }

  void show(std::span<float> elements) { group_->shown[rank_] = elements; }

  /// mine[i] <- reduction over ranks 0 .. n-1, in that order, of shown[rank][begin + i].
  void reduce_into(std::span<float> mine, Reduction reduction, std::size_t begin) const {
    const Reading reading(*group_);
    std::array<float, 1024> sum;
    for (std::size_t at = 0; at < mine.size(); at += sum.size()) {
      const std::size_t n = std::min(sum.size(), mine.size() - at);
      std::copy_n(group_->shown[0].data() + begin + at, n, sum.data());
      for (int r = 1; r < size(); ++r) {
        const float* theirs = group_->shown[r].data() + begin + at;
        if (reduction == Reduction::Sum) {
          for (std::size_t i = 0; i < n; ++i) sum[i] += theirs[i];
        } else {
          for (std::size_t i = 0; i < n; ++i) sum[i] = std::max(sum[i], theirs[i]);
        }
      }
      std::copy_n(sum.data(), n, mine.data() + at);
    }
  }

  /// Waits until all ranks of the group are here. What was shown before is visible after.
  void meet(const char* where) {
    if (size() == 1) return;
    const std::uint64_t mine = group_->generation.load(std::memory_order_relaxed);
    {
      const std::lock_guard lock(group_->mutex);
      group_->arrived[rank_] = true;
      if (--group_->missing == 0) {
        group_->missing = size();
        group_->arrived.assign(group_->arrived.size(), false);
        group_->generation.store(mine + 1, std::memory_order_release);
      }
    }
    const auto passed = [&] { return group_->generation.load(std::memory_order_acquire) != mine; };
    if (passed()) {
      group_->changed.notify_all();
      return;
    }
    if (world().spins()) {
      for (int i = 0; i < kSpins; ++i) {
        if (passed()) return;
        if (i % 64 == 63) std::this_thread::yield();
      }
    }
    std::unique_lock lock(group_->mutex);
    wait(lock, where, passed, [&] {
      std::vector<int> absent;
      for (int r = 0; r < size(); ++r) {
        if (!group_->arrived[r]) absent.push_back(group_->members[r]);
      }
      return absent;
    });
  }

  void wait_for_mail(std::unique_lock<std::mutex>& lock, int peer, int tag) {
    const std::tuple key{peer, rank_, tag};
    wait(
        lock, "receive", [&] { return group_->mail.contains(key); },
        [&] { return std::vector<int>{group_->members[peer]}; });
  }

  /// Waits for `passed()`; `absent()` names the ranks in the world that are waited for.
  template <typename Passed, typename Absent>
  void wait(std::unique_lock<std::mutex>& lock, const char* where, const Passed& passed,
            const Absent& absent) {
    if (passed()) return;
    // The turn is taken back without the group's mutex, which would keep others from arriving.
    const Relock relock(lock);
    const WaitingTurn turn(world(), world_rank());
    std::unique_lock inner(group_->mutex);
    const auto deadline = Clock::now() + world().options().timeout;
    while (!passed()) {
      if (world().failed()) {
        inner.unlock();
        leave();
      }
      if (Clock::now() > deadline) {
        const std::vector<int> ranks = absent();
        inner.unlock();
        std::string names;
        for (int r : ranks) names += (names.empty() ? "" : ", ") + std::to_string(r);
        world().fail(ranks.empty() ? world_rank() : ranks.front(),
                     "rank " + std::to_string(world_rank()) + " waited " +
                         std::to_string(world().options().timeout.count()) + " s in " + where +
                         " for rank " + names);
        leave();
      }
      group_->changed.wait_for(inner, kGlance);
    }
  }

  /// Ends a collective after a failure. What this rank has shown is not read any more.
  [[noreturn]] void leave() {
    Reading::wait_for_end(*group_);
    world().throw_failure();
  }

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

  std::shared_ptr<Group> group_;
  int rank_;
};

/// Ends of the threads of one run, watched by the thread that started them.
struct Finish {
  std::mutex mutex;
  std::condition_variable changed;
  int running = 0;
};

}  // namespace

void run_in_process(int ranks, const InProcessOptions& options,
                    const std::function<void(Communicator&)>& body) {
  auto world = std::make_shared<World>(ranks, options);
  std::vector<int> members(ranks);
  for (int r = 0; r < ranks; ++r) members[r] = r;
  const auto group = std::make_shared<Group>(world, members);
  const auto finish = std::make_shared<Finish>();
  finish->running = ranks;

  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([world, group, finish, body, r] {
      world->begin_turn(r);
      try {
        Seat seat(group, r);
        body(seat);
      } catch (const RankFailure&) {  // known to the world already
      } catch (const std::exception& error) {
        world->fail(r, "rank " + std::to_string(r) + ": " + error.what());
      } catch (...) {
        world->fail(r, "rank " + std::to_string(r) + " threw something unknown");
      }
      world->end_turn(r);
      world->rank(r).finished = true;
      const std::lock_guard lock(finish->mutex);
      --finish->running;
      finish->changed.notify_all();
    });
  }

  std::unique_lock lock(finish->mutex);
  while (finish->running > 0 && !world->failed()) {
    finish->changed.wait_for(lock, kGlance);
    if (const std::optional<int> r = world->stalled()) {
      world->fail(*r, "rank " + std::to_string(*r) + " made no progress for " +
                          std::to_string(options.timeout.count()) + " s");
    }
  }
  finish->changed.wait_for(lock, kGrace, [&] { return finish->running == 0; });
  lock.unlock();
  for (int r = 0; r < ranks; ++r) {
    if (world->rank(r).finished) {
      threads[r].join();
    } else {
      threads[r].detach();
    }
  }
  if (world->failed()) world->throw_failure();
}

}  // namespace meshplan::runtime
