#pragma once
#include <chrono>
#include <compare>
#include <cstdint>

namespace meshplan::profiles {

/// All times. A plain double underneath; arithmetic and comparisons are those of std::chrono.
using Seconds = std::chrono::duration<double>;

/// A byte count. 64-bit: one tensor alone may pass 2 GiB.
struct Bytes {
  std::int64_t count{};
  friend constexpr auto operator<=>(Bytes, Bytes) = default;
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
  friend constexpr Bytes operator*(std::int64_t n, Bytes b) { return {n * b.count}; }
  constexpr Bytes& operator+=(Bytes b) { return *this = *this + b; }
  constexpr Bytes& operator-=(Bytes b) { return *this = *this - b; }
};

/// `size` scaled by a real factor, rounded to the nearest byte.
constexpr Bytes scaled(Bytes size, double factor) {
  return {static_cast<std::int64_t>(static_cast<double>(size.count) * factor + 0.5)};
}
/// `size` cut in `parts` equal shards; the largest shard (rounded up).
constexpr Bytes shard(Bytes size, std::int64_t parts) { return {(size.count + parts - 1) / parts}; }

/// Floating-point operations; a multiply-add counts as two. Double: 1e24 is usual.
struct Flops {
  double count{};
  friend constexpr auto operator<=>(Flops, Flops) = default;
  friend constexpr Flops operator+(Flops a, Flops b) { return {a.count + b.count}; }
  friend constexpr Flops operator*(double n, Flops f) { return {n * f.count}; }
  constexpr Flops& operator+=(Flops b) { return *this = *this + b; }
};

struct BytesPerSecond {
  double rate{};
  friend constexpr auto operator<=>(BytesPerSecond, BytesPerSecond) = default;
  friend constexpr BytesPerSecond operator*(double n, BytesPerSecond b) { return {n * b.rate}; }
  friend constexpr BytesPerSecond operator/(BytesPerSecond b, double n) { return {b.rate / n}; }
};

struct FlopsPerSecond {
  double rate{};
  friend constexpr auto operator<=>(FlopsPerSecond, FlopsPerSecond) = default;
  friend constexpr FlopsPerSecond operator*(double n, FlopsPerSecond f) { return {n * f.rate}; }
};

constexpr Seconds operator/(Bytes size, BytesPerSecond bandwidth) {
  return Seconds{static_cast<double>(size.count) / bandwidth.rate};
}
constexpr Seconds operator/(Flops work, FlopsPerSecond speed) {
  return Seconds{work.count / speed.rate};
}
constexpr BytesPerSecond operator/(Bytes size, Seconds time) {
  return {static_cast<double>(size.count) / time.count()};
}
constexpr FlopsPerSecond operator/(Flops work, Seconds time) { return {work.count / time.count()}; }

namespace literals {
constexpr Bytes operator""_B(unsigned long long n) { return {static_cast<std::int64_t>(n)}; }
constexpr Bytes operator""_KiB(unsigned long long n) {
  return {static_cast<std::int64_t>(n) << 10};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return {static_cast<std::int64_t>(n) << 20};
}
constexpr Bytes operator""_GiB(unsigned long long n) {
  return {static_cast<std::int64_t>(n) << 30};
}
constexpr BytesPerSecond operator""_GBps(unsigned long long n) {
  return {static_cast<double>(n) * 1e9};
}
constexpr Seconds operator""_us(long double n) { return Seconds{static_cast<double>(n) * 1e-6}; }
constexpr Seconds operator""_us(unsigned long long n) {
  return Seconds{static_cast<double>(n) * 1e-6};
}
}  // namespace literals

}  // namespace meshplan::profiles
