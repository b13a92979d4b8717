#pragma once
#include <nccl.h>

#include <cstddef>
#include <optional>
#include <vector>

// One call of NCCL: what ranks say, and what a collective does to their memory.

namespace meshplan::played {

enum class Kind { AllReduce, AllGather, ReduceScatter, Broadcast, Send, Receive };

struct Call {
  Kind kind = Kind::AllReduce;
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t count = 0;
  ncclDataType_t type = ncclFloat32;
  int detail = 0;  ///< operation, root or peer

  [[nodiscard]] bool same(const Call& other) const {
    return kind == other.kind && count == other.count && type == other.type &&
           detail == other.detail;
  }
};

std::size_t size_of(ncclDataType_t type);  ///< bytes of an element
const char* name(Kind kind);

/// By rank.
using Calls = std::vector<std::optional<Call>>;

/// Does the collective that all ranks have called, each with memory of its own; sums are of floats,
/// in the order of the ranks. Nothing for messages.
void carry_out(const Calls& calls);

}  // namespace meshplan::played
