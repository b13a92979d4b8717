#include "runtime/measure/measure_engine.h"

#include <utility>

#include "runtime/execute/run_on_engine.h"

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
  require_counted_steps(training, options);
  return measured_in_turn(training, modelled, options, in_words(engine),
                          run_on_engine(engine, training, Seating::Replay, options.timeout));
}

}  // namespace meshplan::runtime
