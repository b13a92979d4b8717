#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "profiles/units.h"

namespace meshplan::runtime::tcp {

enum class Kind : std::uint32_t {
  Hello,   ///< from a rank: who it is; back: all are there
  Mail,    ///< from rank to rank
  Place,   ///< how far a rank is
  Fail,    ///< of a rank, with its reason; to all: with the places
  Goodbye  ///< a rank is done and may go
};

/// What precedes the bytes of a message. Ranks are those of the world. All machines of a run have
/// the same byte order.
struct Header {
  std::uint32_t magic = kMagic;
  Kind kind = Kind::Mail;
  std::int32_t from = 0, to = 0;
  std::uint64_t group = 0;
  std::int32_t tag = 0;
  std::int32_t ranks = 0;  ///< Hello: of how many
  std::uint64_t size = 0;  ///< bytes that follow
  static constexpr std::uint32_t kMagic = 0x6d657368;
};

struct Message {
  Header header;
  std::vector<std::byte> bytes;
};

/// An open socket; closed with the object.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Wakes a thread that reads; further reads find the end.
  void shut_down() const;
  /// A message that stops halfway ends after this long, as if the other side were gone; also a
  /// connection that is still being made.
  void limit_sends(profiles::Seconds most) const;
  void limit_receives(profiles::Seconds most) const;
  /// False: the other side is gone.
  [[nodiscard]] bool write(const Header& header, const void* bytes) const;
  /// A message of at most `most` bytes; what is longer is noise from somebody else.
  [[nodiscard]] bool read(Message& message, std::uint64_t most = kMost) const;
  static constexpr std::uint64_t kMost = std::uint64_t{1} << 34;

 private:
  int descriptor_ = -1;
};

/// Waits for connections at `port` of every address of this machine. Throws std::runtime_error.
Socket listening(int port);
/// Tries until `timeout`. Throws std::runtime_error that names the address.
Socket connected(const std::string& address, int port, profiles::Seconds timeout);
/// The next connection within `timeout`; an empty one if none came. Neither side of it waits longer
/// than `most` inside a message.
Socket accepted(const Socket& listener, profiles::Seconds timeout, profiles::Seconds most);

}  // namespace meshplan::runtime::tcp
