#include "runtime/communicator/tcp_world.h"

#include <utility>

#include "runtime/communicator/tcp_hub.h"

namespace meshplan::runtime::tcp {

using Clock = std::chrono::steady_clock;

World::World(const Launch& launch, TcpOptions options)
    : launch_(launch),
      options_(std::move(options)),
      socket_(connected(launch.address, launch.port, options_.timeout)) {
  Header hello;
  hello.kind = Kind::Hello;
  hello.ranks = launch_.ranks;
  write(hello, nullptr);
  reader_ = std::thread([this] { read(); });
  std::unique_lock lock(mutex_);
  // The hub itself gives up after the timeout, and says who is missing.
  const auto deadline = Clock::now() + 2 * options_.timeout;
  while (!all_there_ && !failure_ && Clock::now() < deadline) {
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  if (all_there_ && !failure_) return;
  if (!failure_) set_failure(launch_.rank, "rank 0 does not answer", {});
  const RankFailure failure = *failure_;
  lock.unlock();
  socket_.shut_down();
  reader_.join();
  throw failure;
}

World::~World() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  socket_.shut_down();
  reader_.join();
}

void World::write(Header header, const void* bytes) {
  header.from = launch_.rank;
  const std::lock_guard lock(writing_);
  (void)socket_.write(header, bytes);  // the reader notices the end of the connection
}

void World::set_failure(int rank, const std::string& reason, const std::vector<Place>& places) {
  if (!failure_) {
    std::vector<Place> known = places;
    const auto self = static_cast<std::size_t>(launch_.rank);
    if (self < known.size()) known[self] = here_;
    failure_.emplace(rank, reason, std::move(known), options_.in_words);
  }
  changed_.notify_all();
}

/// Rank 0 knew where all were; each can only speak for itself.
void World::set_lost() {
  const std::string here =
      options_.in_words ? options_.in_words(launch_.rank, here_) : describe(here_);
  set_failure(0,
              "rank 0: its process ended, or its connection; rank " + std::to_string(launch_.rank) +
                  " was at " + here,
              {});
}

void World::read() {
  Message message;
  while (socket_.read(message)) {
    const std::lock_guard lock(mutex_);
    const Header& h = message.header;
    if (h.kind == Kind::Hello) all_there_ = true;
    if (h.kind == Kind::Mail) {
      mail_[{h.from, h.group, h.tag}].push_back(std::move(message.bytes));
    }
    if (h.kind == Kind::Fail) {
      std::vector<Place> places;
      std::string reason;
      unpack(message.bytes, places, reason);
      set_failure(h.from, reason, places);
    }
    changed_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  if (!leaving_) set_lost();
}

void World::send(int to, std::uint64_t group, int tag, const void* bytes, std::size_t size) {
  look_for_failure();
  Header header;
  header.to = to;
  header.group = group;
  header.tag = tag;
  header.size = size;
  write(header, bytes);
}

void World::wait(std::unique_lock<std::mutex>& lock, int from, const Address& address) {
  const auto deadline = Clock::now() + options_.timeout;
  for (;;) {
    tell_place(lock);
    if (mail_.contains(address)) return;
    if (failure_) throw RankFailure(*failure_);
    if (Clock::now() > deadline) {
      lock.unlock();
      fail("rank " + std::to_string(launch_.rank) + " waited " +
           std::to_string(options_.timeout.count()) + " s for rank " + std::to_string(from));
      lock.lock();
      // The hub answers with everybody's place; a moment for that.
      changed_.wait_for(lock, std::chrono::seconds(1), [this] { return failure_.has_value(); });
      if (!failure_) set_failure(launch_.rank, "rank 0 does not answer", {});
      throw RankFailure(*failure_);
    }
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
}

void World::await(int from, std::uint64_t group, int tag) {
  std::unique_lock lock(mutex_);
  wait(lock, from, {from, group, tag});
}

std::vector<std::byte> World::receive(int from, std::uint64_t group, int tag) {
  std::unique_lock lock(mutex_);
  const Address address{from, group, tag};
  wait(lock, from, address);
  const auto box = mail_.find(address);
  std::vector<std::byte> bytes = std::move(box->second.front());
  box->second.pop_front();
  if (box->second.empty()) mail_.erase(box);
  return bytes;
}

void World::note(Place place) {
  std::unique_lock lock(mutex_);
  here_ = place;
  tell_place(lock);
}

void World::tell_place(std::unique_lock<std::mutex>& lock) {
  const auto now = Clock::now();
  if (here_ == told_ || now - told_at_ < std::chrono::milliseconds(100)) return;
  const Place place = told_ = here_;
  told_at_ = now;
  // Not under the lock: the reader, which makes room for what is written, needs it.
  lock.unlock();
  Header header;
  header.kind = Kind::Place;
  header.size = sizeof(place);
  write(header, &place);
  lock.lock();
}

void World::fail(const std::string& reason) {
  Header header;
  header.kind = Kind::Fail;
  header.size = reason.size();
  write(header, reason.data());
}

void World::look_for_failure() {
  std::unique_lock lock(mutex_);
  if (failure_) throw RankFailure(*failure_);
  tell_place(lock);
}

void World::say_goodbye() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  Header header;
  header.kind = Kind::Goodbye;
  write(header, nullptr);
}

}  // namespace meshplan::runtime::tcp
