#include "runtime/execute/run_on_engine.h"

#include <memory>
#include <string>

#include "planner/layout/layout_text.h"
#include "profiles/input_error.h"

namespace meshplan::runtime {
namespace {

SeatOptions seat_of(int rank, int ranks, Seating seating, profiles::Seconds timeout) {
  SeatOptions seat;
  seat.seating = seating;
  seat.timeout = timeout;
  if (seating == Seating::OneEach) seat.ordinal = rank;
  if (seating == Seating::Partitioned) {
    seat.partitions = ranks;
    seat.partition = rank;
  }
  return seat;
}

void refuse_unseated(Engine& engine, const Training& training, Seating seating) {
  const int ranks = training.layout.devices();
  const std::vector<DeviceFacts> devices = engine.devices();
  const std::string where = "run of " + planner::text(training.layout);
  if (seating == Seating::OneEach && ranks > static_cast<int>(devices.size())) {
    throw profiles::InputError(where, std::to_string(ranks) + " devices",
                               std::to_string(devices.size()));
  }
  if (seating != Seating::Partitioned) return;
  if (ranks != 2 && ranks != 4 && ranks != 8) {
    throw profiles::InputError(where, "2, 4 or 8 ranks for --mode partitioned",
                               std::to_string(ranks));
  }
  if (!devices.front().green_contexts) {
    throw profiles::InputError(where, "a device of compute capability 9.0 or later to cut up",
                               devices.front().name);
  }
}

}  // namespace

std::vector<RankResult> run_on_engine(Engine& engine, const Training& training, Seating seating,
                                      profiles::Seconds timeout) {
  refuse_unsupported(training);
  refuse_unseated(engine, training, seating);
  InProcessOptions options;
  options.timeout = timeout;
  options.take_turns = seating == Seating::Replay;
  options.in_words = instruction_in_words(training);
  // A rank that stalls outlives this call: what it uses must too.
  struct Shared {
    Training training;
    std::vector<RankResult> results;
  };
  const int ranks = training.layout.devices();
  const auto shared = std::make_shared<Shared>(Shared{training, std::vector<RankResult>(ranks)});
  run_in_process(ranks, options, [shared, seating, timeout, &engine](Communicator& host) {
    const auto device = engine.open(host, seat_of(host.rank(), host.size(), seating, timeout));
    shared->results[host.rank()] = run_rank(shared->training, *device);
  });
  return std::move(shared->results);
}

}  // namespace meshplan::runtime
