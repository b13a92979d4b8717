#include "runtime/communicator/lone.h"

#include <cstring>
#include <stdexcept>

namespace meshplan::runtime {
namespace {

void copy_on_host(ConstBuffer from, Buffer to) { std::memcpy(to.data, from.data, from.bytes()); }

/// Numbers between -1/2 and 1/2 that no kernel treats specially.
template <typename Element, typename Round>
void fill(Buffer elements, Round round) {
  auto* const to = static_cast<Element*>(elements.data);
  constexpr std::size_t kPeriod = 251;
  for (std::size_t i = 0; i < elements.count; ++i) {
    to[i] = round(static_cast<float>(i % kPeriod) / static_cast<float>(kPeriod) - 0.5F);
  }
}

void fill_on_host(Buffer elements) {
  if (elements.type == kernels::ElementType::F32) {
    fill<float>(elements, [](float x) { return x; });
  } else {
    fill<kernels::Bf16>(elements, [](float x) { return kernels::to_bf16(x); });
  }
}

}  // namespace

LoneMemory host_memory() { return {copy_on_host, fill_on_host}; }

void Lone::copy(ConstBuffer from, Buffer to) const {
  if (!from.empty() && from.data != to.data) memory_.copy(from, to);
}

void Lone::all_reduce(Buffer, Reduction) {}

void Lone::all_gather(ConstBuffer mine, Buffer all) {
  for (int r = 0; r < size_; ++r) copy(mine, all.part(r * mine.count, mine.count));
}

void Lone::reduce_scatter(ConstBuffer all, Buffer mine) {
  copy(all.part(rank_ * mine.count, mine.count), mine);
}

void Lone::broadcast(Buffer elements, int root) {
  if (root != rank_) memory_.fill(elements);
}

void Lone::all_to_all(ConstBuffer mine, Buffer theirs) { copy(mine, theirs); }

void Lone::send(ConstBuffer, int, int) {}

void Lone::await(int, int) {}

void Lone::receive(Buffer elements, int, int) { memory_.fill(elements); }

void Lone::exchange(std::span<const Transfer> transfers) {
  for (const Transfer& t : transfers) {
    if (t.kind == Transfer::Kind::Receive) memory_.fill(t.elements);
  }
}

std::unique_ptr<Communicator> Lone::split(int, int, Queue) {
  throw std::logic_error("a lone rank does not know the parts of its group");
}

}  // namespace meshplan::runtime
