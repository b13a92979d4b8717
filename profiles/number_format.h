#pragma once
#include <string>
#include <string_view>

#include "profiles/units.h"

namespace meshplan::profiles {

/// "13.7 s", "42.1 ms", "7.5 us": three significant figures, the unit a person would pick.
std::string human(Seconds time);
/// "79.2 GB", decimal units, three significant figures.
std::string human(Bytes size);
/// "450 GB/s"
std::string human(BytesPerSecond rate);
/// 70553706496 -> "70.6B"; counts of parameters, tokens, layouts.
std::string human_count(double count);
/// 792880 -> "792,880"
std::string with_thousands(std::int64_t count);

/// "1G", "256M", "64K", "512", "1GiB" -> bytes. K, M, G are binary here, as nccl-tests reads them.
/// Throws InputError naming `where`.
Bytes parse_bytes(std::string_view text, const std::string& where);

}  // namespace meshplan::profiles
