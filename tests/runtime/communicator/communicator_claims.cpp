#include "communicator_claims.h"

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace meshplan::runtime {
namespace {

void equal(float found, float expected, const char* what) {
  if (found == expected) return;
  throw std::runtime_error(std::string(what) + ": expected " + std::to_string(expected) +
                           ", found " + std::to_string(found));
}

/// rank * 10 + i
std::vector<float> counted(int rank, int n) {
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i) values[i] = static_cast<float>(rank * 10 + i);
  return values;
}

}  // namespace

void claim_all_reduce_sums_and_maximises(Communicator& group) {
  const int n = group.size();
  std::vector<float> sum = counted(group.rank(), 7);
  group.all_reduce(sum, Reduction::Sum);
  // sum over r of (10 r + i) = 10 n (n - 1) / 2 + n i
  for (int i = 0; i < 7; ++i) equal(sum[i], static_cast<float>(5 * n * (n - 1) + n * i), "sum");
  std::vector<float> most = counted(group.rank(), 7);
  group.all_reduce(most, Reduction::Max);
  for (int i = 0; i < 7; ++i) equal(most[i], static_cast<float>(10 * (n - 1) + i), "max");
}

void claim_all_gather_orders_by_rank(Communicator& group) {
  const int n = group.size();
  const std::vector<float> mine = counted(group.rank(), 3);
  std::vector<float> all(3 * n);
  group.all_gather(mine, all);
  for (int r = 0; r < n; ++r) {
    for (int i = 0; i < 3; ++i) equal(all[3 * r + i], static_cast<float>(10 * r + i), "gathered");
  }
  // In place: the rank's own part of the whole.
  std::vector<float> whole(3 * n, -1.0F);
  const std::span<float> own = std::span(whole).subspan(3 * group.rank(), 3);
  std::copy(mine.begin(), mine.end(), own.begin());
  group.all_gather(own, whole);
  for (int i = 0; i < 3 * n; ++i) equal(whole[i], all[i], "gathered in place");
}

void claim_reduce_scatter_gives_each_rank_its_part(Communicator& group) {
  const int n = group.size();
  const std::vector<float> all = counted(group.rank(), 2 * n);
  std::vector<float> mine(2);
  group.reduce_scatter(all, mine);
  for (int i = 0; i < 2; ++i) {
    equal(mine[i], static_cast<float>(5 * n * (n - 1) + n * (2 * group.rank() + i)), "part");
  }
}

void claim_broadcast_copies_the_root(Communicator& group) {
  for (int root = 0; root < group.size(); ++root) {
    std::vector<float> values = counted(group.rank(), 5);
    group.broadcast(values, root);
    for (int i = 0; i < 5; ++i) equal(values[i], static_cast<float>(10 * root + i), "broadcast");
  }
}

void claim_all_to_all_transposes(Communicator& group) {
  const int n = group.size();
  std::vector<float> mine(2 * n);
  // (from, to, i) -> 100 from + 10 to + i
  for (int to = 0; to < n; ++to) {
    for (int i = 0; i < 2; ++i) {
      mine[2 * to + i] = static_cast<float>(100 * group.rank() + 10 * to + i);
    }
  }
  std::vector<float> theirs(2 * n);
  group.all_to_all(mine, theirs);
  for (int from = 0; from < n; ++from) {
    for (int i = 0; i < 2; ++i) {
      equal(theirs[2 * from + i], static_cast<float>(100 * from + 10 * group.rank() + i),
            "transposed");
    }
  }
}

void claim_messages_match_by_tag(Communicator& group) {
  const int n = group.size();
  const int next = (group.rank() + 1) % n;
  const int before = (group.rank() + n - 1) % n;
  for (int tag = 0; tag < 3; ++tag) {
    const std::vector<float> message = counted(group.rank() + 100 * tag, 4);
    group.send(message, next, tag);
  }
  for (int tag = 2; tag >= 0; --tag) {  // the other way round than sent
    std::vector<float> message(4);
    group.await(before, tag);
    group.receive(message, before, tag);
    for (int i = 0; i < 4; ++i) {
      equal(message[i], static_cast<float>(10 * (before + 100 * tag) + i), "message");
    }
  }
}

void claim_exchange_around_a_ring_does_not_deadlock(Communicator& group) {
  const int n = group.size();
  const int next = (group.rank() + 1) % n;
  const int before = (group.rank() + n - 1) % n;
  // 1 MB: more than an eager send may hold.
  std::vector<float> out(1 << 18, static_cast<float>(group.rank()));
  std::vector<float> in(out.size());
  const Transfer transfers[] = {{Transfer::Kind::Send, next, 7, out},
                                {Transfer::Kind::Receive, before, 7, in}};
  group.exchange(transfers);
  for (const float value : in) equal(value, static_cast<float>(before), "ring");
}

void claim_split_makes_rows_and_columns(Communicator& group) {
  // Rows of two: ranks {0, 1}, {2, 3}, ...; columns by parity, in reverse order.
  const auto row = group.split(group.rank() / 2, group.rank());
  const auto column = group.split(group.rank() % 2, -group.rank());
  std::vector<float> sum{static_cast<float>(group.rank())};
  row->all_reduce(sum, Reduction::Sum);
  float expected = 0;
  for (int r = 0; r < group.size(); ++r) {
    if (r / 2 == group.rank() / 2) expected += static_cast<float>(r);
  }
  equal(sum[0], expected, "sum over the row");
  std::vector<float> mine{static_cast<float>(group.rank())};
  std::vector<float> all(column->size());
  column->all_gather(mine, all);
  for (int i = 1; i < column->size(); ++i) equal(all[i], all[i - 1] - 2, "reversed column");
}

void claim_buffers_of_awkward_sizes_work(Communicator& group) {
  const int n = group.size();
  for (const int size : {0, 1, 2, 597, 1023, 1024, 1025, 4099}) {
    std::vector<float> values(size, static_cast<float>(group.rank() + 1));
    group.all_reduce(values, Reduction::Sum);
    for (const float value : values) equal(value, static_cast<float>(n * (n + 1) / 2), "sum");
  }
}

void claim_bf16_sums_round_once(Communicator& group) {
  using kernels::Bf16;
  const int n = group.size();
  // Every rank has 1.0 + 2^-7 (one step of bf16 above 1) and 2^-8: sums that bf16 does not hold
  // on the way are rounded at the end, to even.
  std::vector<Bf16> values(1030, kernels::to_bf16(1.0078125F));
  values[7] = kernels::to_bf16(0.00390625F);
  group.all_reduce(values, Reduction::Sum);
  const float sum = static_cast<float>(n) * 1.0078125F;
  equal(kernels::to_float(values[0]), kernels::to_float(kernels::to_bf16(sum)), "sum of bf16");
  equal(kernels::to_float(values[7]), static_cast<float>(n) * 0.00390625F, "small sum of bf16");

  std::vector<Bf16> mine(3, kernels::to_bf16(static_cast<float>(group.rank())));
  std::vector<Bf16> all(3 * n);
  group.all_gather(mine, all);
  for (int r = 0; r < n; ++r) {
    equal(kernels::to_float(all[3 * r + 2]), static_cast<float>(r), "gathered bf16");
  }
  std::vector<Bf16> part(3);
  group.reduce_scatter(all, part);
  equal(kernels::to_float(part[1]), static_cast<float>(n * group.rank()), "part of bf16");
  const int next = (group.rank() + 1) % n, before = (group.rank() + n - 1) % n;
  group.send(mine, next, 3);
  group.receive(part, before, 3);
  equal(kernels::to_float(part[2]), static_cast<float>(before), "message of bf16");
}

}  // namespace meshplan::runtime
