#pragma once
#include <string>

#include "profiles/units.h"

namespace meshplan::runtime {

/// What the operating system says of this machine, as far as this process may use it.
struct Host {
  std::string name;            ///< of the machine
  std::string processor;       ///< "model name" of /proc/cpuinfo; "unknown processor" without one
  int cores = 1;               ///< that this process may run on
  profiles::Bytes memory;      ///< of the machine, or of its container if that has less
  profiles::Bytes available;   ///< of it, without swapping
  profiles::Bytes core_cache;  ///< second level, of one core; 1 MiB where unknown
};
Host this_host();

}  // namespace meshplan::runtime
