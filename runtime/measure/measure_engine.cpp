#include "runtime/measure/measure_engine.h"

#include <utility>

#include "runtime/execute/run_on_engine.h"
#include "runtime/measure/replay.h"

namespace meshplan::runtime {

std::string in_words(const Engine& engine) {
  return engine.devices().front().name + ", " + engine.description();
}

Measured measure_on_engine(Engine& engine, const Training& training, Mode mode,
                           const MeasureOptions& options) {
  require_counted_steps(training, options);
  const Seating seating = mode == Mode::Partitioned ? Seating::Partitioned : Seating::OneEach;
  return measured_at_once(training, options, mode, in_words(engine), /*asynchronous=*/true,
                          run_on_engine(engine, training, seating, options.timeout));
}

Measured measure_replay_on_engine(Engine& engine, const Training& training,
                                  const planner::ScheduleCosts& modelled,
                                  const MeasureOptions& options) {
  MeasureOptions one = options;
  one.at_once = 1;
  SeatOptions seat;
  seat.seating = Seating::Alone;
  seat.timeout = options.timeout;
  return measure_alone(training, modelled, one, in_words(engine),
                       [&engine, seat](const Training& own, Lone& world) {
                         const auto device = engine.open(world, seat);
                         return run_lone_rank(own, *device);
                       });
}

std::vector<double> replayed_losses(Engine& engine, const Training& training,
                                    profiles::Seconds timeout) {
  return run_on_engine(engine, training, Seating::Replay, timeout).front().losses;
}

}  // namespace meshplan::runtime
