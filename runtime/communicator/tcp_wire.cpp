#include "runtime/communicator/tcp_wire.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

namespace meshplan::runtime::tcp {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

bool write_all(int descriptor, const void* bytes, std::size_t size) {
  const auto* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t sent = ::send(descriptor, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool read_all(int descriptor, void* bytes, std::size_t size) {
  auto* at = static_cast<char*>(bytes);
  while (size > 0) {
    const ssize_t got = ::recv(descriptor, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

void limit(int descriptor, int what, profiles::Seconds most) {
  const auto microseconds = std::max<std::int64_t>(1, std::llround(1e6 * most.count()));
  timeval time{};
  time.tv_sec = microseconds / 1'000'000;
  time.tv_usec = microseconds % 1'000'000;
  setsockopt(descriptor, SOL_SOCKET, what, &time, sizeof(time));
}

void send_at_once(int descriptor) {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}
Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void Socket::shut_down() const {
  if (descriptor_ >= 0) shutdown(descriptor_, SHUT_RDWR);
}

void Socket::limit_sends(profiles::Seconds most) const { limit(descriptor_, SO_SNDTIMEO, most); }
void Socket::limit_receives(profiles::Seconds most) const { limit(descriptor_, SO_RCVTIMEO, most); }

bool Socket::write(const Header& header, const void* bytes) const {
  constexpr std::uint64_t kSmall = std::uint64_t{1} << 16;
  if (header.size <= kSmall) {  // one packet
    std::vector<std::byte> whole(sizeof(header) + header.size);
    std::memcpy(whole.data(), &header, sizeof(header));
    if (header.size > 0) std::memcpy(whole.data() + sizeof(header), bytes, header.size);
    return write_all(descriptor_, whole.data(), whole.size());
  }
  return write_all(descriptor_, &header, sizeof(header)) &&
         write_all(descriptor_, bytes, header.size);
}

bool Socket::read(Message& message, std::uint64_t most) const {
  if (!read_all(descriptor_, &message.header, sizeof(message.header))) return false;
  if (message.header.magic != Header::kMagic || message.header.size > most) return false;
  message.bytes.resize(message.header.size);
  return read_all(descriptor_, message.bytes.data(), message.bytes.size());
}

Socket listening(int port) {
  Socket listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_addr = in6addr_any;
  any.sin6_port = htons(static_cast<std::uint16_t>(port));
  const auto* address = reinterpret_cast<const sockaddr*>(&any);
  socklen_t size = sizeof(any);
  sockaddr_in any4{};
  const int off = 0, on = 1;
  if (listener.descriptor() >= 0) {
    setsockopt(listener.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  } else {  // a machine without IPv6
    listener = Socket(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    any4.sin_family = AF_INET;
    any4.sin_addr.s_addr = htonl(INADDR_ANY);
    any4.sin_port = any.sin6_port;
    address = reinterpret_cast<const sockaddr*>(&any4);
    size = sizeof(any4);
  }
  setsockopt(listener.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  constexpr int kWaiting = 1024;
  if (bind(listener.descriptor(), address, size) != 0 ||
      listen(listener.descriptor(), kWaiting) != 0) {
    fail("port " + std::to_string(port) + " of this machine, where ranks meet");
  }
  return listener;
}

Socket connected(const std::string& address, int port, profiles::Seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const std::string where = address + ":" + std::to_string(port);
  for (;;) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int status = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (status == EAI_AGAIN &&
        std::chrono::steady_clock::now() < deadline) {  // names may come late
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      continue;
    }
    if (status != 0) {
      throw std::runtime_error("rank 0 at " + where + ": " + gai_strerror(status));
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
    for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
      Socket socket(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
      if (socket.descriptor() < 0) continue;
      socket.limit_sends(timeout);  // a machine that never answers
      if (connect(socket.descriptor(), a->ai_addr, a->ai_addrlen) == 0) {
        send_at_once(socket.descriptor());
        return socket;
      }
    }
    if (std::chrono::steady_clock::now() > deadline) fail("rank 0 at " + where);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Socket accepted(const Socket& listener, profiles::Seconds timeout, profiles::Seconds most) {
  pollfd waiting{listener.descriptor(), POLLIN, 0};
  const int milliseconds = static_cast<int>(1e3 * timeout.count());
  if (poll(&waiting, 1, std::max(milliseconds, 0)) <= 0) return {};
  Socket socket(accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.descriptor() >= 0) {
    send_at_once(socket.descriptor());
    socket.limit_sends(most);
    socket.limit_receives(most);
  }
  return socket;
}

}  // namespace meshplan::runtime::tcp
