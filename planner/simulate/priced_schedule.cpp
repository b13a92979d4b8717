#include "planner/simulate/priced_schedule.h"

#include <fmt/format.h>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;
using profiles::Seconds;

void require(std::size_t found, std::size_t expected, const char* what) {
  if (found != expected)
    throw InputError("schedule costs", fmt::format("{} {}", expected, what), fmt::to_string(found));
}

void price_chunk(const ChunkCost& cost, PricedSchedule::Chunk& chunk) {
  chunk.work[int(Action::Forward)] = cost.forward;
  chunk.work[int(Action::Backward)] = cost.input_grad + cost.weight_grad;
  chunk.work[int(Action::InputGrad)] = cost.input_grad;
  chunk.work[int(Action::WeightGrad)] = cost.weight_grad;
  chunk.work[int(Action::Recompute)] = cost.recompute;
  for (int i = 0; i < 5; ++i) chunk.duration[i] = chunk.work[i].total();
}

/// Buckets without prices are free: there is nobody to share gradients with.
Seconds bucket_price(const std::vector<Seconds>& prices, int bucket, const char* what) {
  if (prices.empty()) return Seconds{0};
  if (bucket < 0 || bucket >= static_cast<int>(prices.size()))
    throw InputError("schedule costs", fmt::format("a price for {} bucket {}", what, bucket),
                     fmt::format("{} prices", prices.size()));
  return prices[bucket];
}

/// One reading of a rank's list: checks indexes, finds what the passes must know beforehand.
void read_program(const Schedule& schedule, int rank, PricedSchedule& priced) {
  const auto& program = schedule.programs[rank];
  const auto chunks = static_cast<std::uint32_t>(priced.chunks.size());
  const auto microbatches = static_cast<std::uint32_t>(priced.microbatches);
  const auto refuse = [&](std::size_t i, const char* why) {
    throw InputError(fmt::format("schedule, rank {}, instruction {}", rank, i), why);
  };
  priced.barrier_at[rank] = static_cast<int>(program.size());
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& instruction = program[i];
    const Action action = instruction.action;
    const auto chunk = static_cast<std::uint32_t>(instruction.chunk);
    if (action <= Action::ReceiveBackward) {
      if (chunk >= chunks) refuse(i, "no such chunk");
      if (static_cast<std::uint32_t>(instruction.microbatch) >= microbatches)
        refuse(i, "no such micro-batch");
      if (priced.chunks[chunk].stage != rank) refuse(i, "the chunk belongs to another rank");
    }
    switch (action) {
      case Action::Backward:
      case Action::WeightGrad:
        priced.chunks[chunk].last_producer = &instruction;
        break;
      case Action::SendForward:
        if (chunk + 1 == chunks) refuse(i, "the last chunk has nobody to send to");
        break;
      case Action::SendBackward:
        if (chunk == 0) refuse(i, "the first chunk has nobody to send a gradient to");
        break;
      case Action::ParameterGather:
        if (chunk >= chunks) refuse(i, "no such chunk");
        bucket_price(priced.costs->chunks[chunk].parameter_gather, instruction.peer, "gather");
        break;
      case Action::GradientReduce: {
        if (chunk >= chunks) refuse(i, "no such chunk");
        const auto& prices = priced.costs->chunks[chunk].gradient_reduce;
        const Seconds price = bucket_price(prices, instruction.peer, "reduction");
        priced.reduces.push_back({static_cast<std::int32_t>(i), instruction.chunk, instruction.peer,
                                  static_cast<int>(std::max<std::size_t>(prices.size(), 1)),
                                  price});
        break;
      }
      case Action::OptimizerSync:
        if (priced.barrier_at[rank] != static_cast<int>(program.size()))
          refuse(i, "a second barrier in one step");
        priced.barrier_at[rank] = static_cast<int>(i);
        break;
      default:
        break;
    }
  }
}

}  // namespace

void price(const Schedule& schedule, const ScheduleCosts& costs, PricedSchedule& priced) {
  const auto chunks = static_cast<std::size_t>(schedule.chunk_count());
  const auto ranks = static_cast<std::size_t>(schedule.stages);
  require(schedule.chunks.size(), chunks, "chunks in the schedule");
  require(schedule.programs.size(), ranks, "programs in the schedule");
  require(costs.chunks.size(), chunks, "chunks");
  require(costs.stages.size(), ranks, "stages");
  if (!costs.hops_forward.empty() && costs.hops_forward.size() + 1 < chunks)
    require(costs.hops_forward.size(), chunks, "forward hops");
  if (!costs.hops_backward.empty()) require(costs.hops_backward.size(), chunks, "backward hops");

  priced.costs = &costs;
  priced.ranks = schedule.stages;
  priced.microbatches = schedule.microbatches;
  priced.barrier = schedule.global_sync && !schedule.forward_only;
  priced.overlap_reduce = costs.overlap_gradient_reduce;
  priced.overlap_gather = costs.overlap_parameter_gather;
  priced.sync = Seconds{0};
  for (const StageCost& stage : costs.stages) priced.sync = std::max(priced.sync, stage.sync);

  priced.chunks.resize(chunks);
  for (std::size_t c = 0; c < chunks; ++c) {
    auto& chunk = priced.chunks[c];
    const int stage = schedule.chunks[c].stage;
    if (stage < 0 || stage >= schedule.stages)
      throw InputError(fmt::format("schedule, chunk {}", c), "a stage that is there",
                       fmt::to_string(stage));
    price_chunk(costs.chunks[c], chunk);
    chunk.stage = stage;
    chunk.input_arrives = c > 0 && schedule.chunks[c - 1].stage != stage;
    chunk.gradient_arrives = c + 1 < chunks && schedule.chunks[c + 1].stage != stage;
    chunk.forward = c < costs.hops_forward.size() ? costs.hops_forward[c] : HopCost{};
    chunk.backward = c < costs.hops_backward.size() ? costs.hops_backward[c] : HopCost{};
    chunk.last_producer = nullptr;
  }
  priced.reduces.clear();
  priced.reduces_begin.assign(1, 0);
  priced.barrier_at.resize(ranks);
  for (int rank = 0; rank < priced.ranks; ++rank) {
    read_program(schedule, rank, priced);
    priced.reduces_begin.push_back(static_cast<int>(priced.reduces.size()));
  }
}

bool shares_links(const PricedSchedule& priced) {
  const ScheduleCosts& costs = *priced.costs;
  std::vector<int> user(costs.links.size(), -1);  // the one stream seen on each link
  bool shared = false;
  const auto use = [&](int link, int stream) {
    if (link < 0) return;
    if (link >= static_cast<int>(user.size()))
      throw InputError("schedule costs", "a link that is there", fmt::to_string(link));
    if (user[link] >= 0 && user[link] != stream) shared = true;
    user[link] = stream;
  };
  const Seconds none{0};
  for (std::size_t c = 0; c < priced.chunks.size(); ++c) {
    const auto& chunk = priced.chunks[c];
    if (chunk.gradient_arrives && chunk.forward.transfer > none)
      for (const int link : {chunk.forward.link, chunk.forward.far_link})
        use(link, 3 * chunk.stage);
    if (chunk.input_arrives && chunk.backward.transfer > none)
      for (const int link : {chunk.backward.link, chunk.backward.far_link})
        use(link, 3 * chunk.stage + 1);
    if (!costs.chunks[c].gradient_reduce.empty() || !costs.chunks[c].parameter_gather.empty())
      use(costs.stages[chunk.stage].reduce_link, 3 * chunk.stage + 2);
  }
  return shared;
}

}  // namespace meshplan::planner
