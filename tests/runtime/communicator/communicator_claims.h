#pragma once
#include "runtime/communicator/communicator.h"

namespace meshplan::runtime {

/// What every Communicator must do, checked from inside one rank of a running group; each claim is
/// called by all ranks. Values are small integers, so sums are exact and equality is exact. Throws
/// std::runtime_error that says what was wrong.
void claim_all_reduce_sums_and_maximises(Communicator& group);
void claim_all_gather_orders_by_rank(Communicator& group);
void claim_reduce_scatter_gives_each_rank_its_part(Communicator& group);
void claim_broadcast_copies_the_root(Communicator& group);
void claim_all_to_all_transposes(Communicator& group);
void claim_messages_match_by_tag(Communicator& group);
void claim_exchange_around_a_ring_does_not_deadlock(Communicator& group);
void claim_split_makes_rows_and_columns(Communicator& group);
void claim_buffers_of_awkward_sizes_work(Communicator& group);
void claim_bf16_sums_round_once(Communicator& group);

struct Claim {
  const char* name;
  void (*check)(Communicator&);
};
inline constexpr Claim kClaims[] = {
    {"all_reduce_sums_and_maximises", claim_all_reduce_sums_and_maximises},
    {"all_gather_orders_by_rank", claim_all_gather_orders_by_rank},
    {"reduce_scatter_gives_each_rank_its_part", claim_reduce_scatter_gives_each_rank_its_part},
    {"broadcast_copies_the_root", claim_broadcast_copies_the_root},
    {"all_to_all_transposes", claim_all_to_all_transposes},
    {"messages_match_by_tag", claim_messages_match_by_tag},
    {"exchange_around_a_ring_does_not_deadlock", claim_exchange_around_a_ring_does_not_deadlock},
    {"split_makes_rows_and_columns", claim_split_makes_rows_and_columns},
    {"buffers_of_awkward_sizes_work", claim_buffers_of_awkward_sizes_work},
    {"bf16_sums_round_once", claim_bf16_sums_round_once},
};

}  // namespace meshplan::runtime
