#include "nccl_call.h"

#include <algorithm>
#include <cstring>

#include "kernels/bf16.h"

namespace meshplan::played {
namespace {

float number(const void* data, std::size_t i, ncclDataType_t type) {
  if (type == ncclBfloat16) {
    return meshplan::kernels::to_float(static_cast<const meshplan::kernels::Bf16*>(data)[i]);
  }
  return static_cast<const float*>(data)[i];
}
void set_number(void* data, std::size_t i, ncclDataType_t type, float value) {
  if (type == ncclBfloat16) {
    static_cast<meshplan::kernels::Bf16*>(data)[i] = meshplan::kernels::to_bf16(value);
  } else {
    static_cast<float*>(data)[i] = value;
  }
}

/// The elements [begin, begin + count) over all ranks, in their order.
std::vector<float> reduced(const Calls& calls, std::size_t begin, std::size_t count) {
  const Call& first = *calls.front();
  std::vector<float> out(count);
  for (std::size_t r = 0; r < calls.size(); ++r) {
    for (std::size_t i = 0; i < count; ++i) {
      const float value = number(calls[r]->from, begin + i, first.type);
      if (r == 0) {
        out[i] = value;
      } else {
        out[i] = first.detail == ncclMax ? std::max(out[i], value) : out[i] + value;
      }
    }
  }
  return out;
}

}  // namespace

std::size_t size_of(ncclDataType_t type) { return type == ncclBfloat16 ? 2 : 4; }

const char* name(Kind kind) {
  constexpr const char* kNames[] = {"all_reduce", "all_gather", "reduce_scatter",
                                    "broadcast",  "send",       "receive"};
  return kNames[static_cast<int>(kind)];
}

void carry_out(const Calls& calls) {
  const Call& first = *calls.front();
  const std::size_t bytes = first.count * size_of(first.type);
  const auto store = [&](const Call& call, const std::vector<float>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) set_number(call.to, i, first.type, values[i]);
  };
  switch (first.kind) {
    case Kind::AllReduce: {
      const std::vector<float> sum = reduced(calls, 0, first.count);
      for (const auto& call : calls) store(*call, sum);
      break;
    }
    case Kind::ReduceScatter: {
      std::vector<std::vector<float>> parts;  // a rank's part may lie in what others still read
      for (std::size_t r = 0; r < calls.size(); ++r) {
        parts.push_back(reduced(calls, r * first.count, first.count));
      }
      for (std::size_t r = 0; r < calls.size(); ++r) store(*calls[r], parts[r]);
      break;
    }
    case Kind::AllGather:
      for (const auto& to : calls) {
        for (std::size_t r = 0; r < calls.size(); ++r) {
          std::memmove(static_cast<char*>(to->to) + r * bytes, calls[r]->from, bytes);
        }
      }
      break;
    case Kind::Broadcast: {
      const void* const root = calls[static_cast<std::size_t>(first.detail)]->from;
      for (const auto& call : calls) std::memmove(call->to, root, bytes);
      break;
    }
    case Kind::Send:
    case Kind::Receive:
      break;
  }
}

}  // namespace meshplan::played
