#include "runtime/serve/serve_on_threads.h"

#include <functional>
#include <memory>
#include <string>

#include "planner/layout/layout_text.h"
#include "profiles/input_error.h"
#include "runtime/device/cpu_device.h"

namespace meshplan::runtime {
namespace {

/// `opened`: the device of a rank.
std::vector<ServedRank> serve_on(
    const Serving& serving, InProcessOptions options,
    const std::function<std::unique_ptr<Device>(Communicator&)>& opened) {
  refuse_unsupported(serving);
  options.in_words = step_in_words(serving);
  // A rank that stalls outlives this call: what it uses must too.
  struct Shared {
    Serving serving;
    std::vector<ServedRank> results;
  };
  const int ranks = serving.layout.devices();
  const auto shared = std::make_shared<Shared>(Shared{serving, std::vector<ServedRank>(ranks)});
  run_in_process(ranks, options, [shared, opened](Communicator& world) {
    const std::unique_ptr<Device> device = opened(world);
    shared->results[world.rank()] = serve_rank(shared->serving, *device);
  });
  return std::move(shared->results);
}

}  // namespace

std::vector<ServedRank> serve_on_threads(const Serving& serving, InProcessOptions options) {
  return serve_on(serving, std::move(options),
                  [](Communicator& world) { return std::make_unique<CpuDevice>(world); });
}

std::vector<ServedRank> serve_on_engine(Engine& engine, const Serving& serving,
                                        InProcessOptions options) {
  const auto devices = static_cast<int>(engine.devices().size());
  if (!options.take_turns && serving.layout.devices() > devices) {
    throw profiles::InputError("run of " + planner::text(serving.layout, false),
                               std::to_string(serving.layout.devices()) + " devices",
                               std::to_string(devices));
  }
  return serve_on(serving, options, [&engine, options](Communicator& world) {
    SeatOptions seat;
    if (options.take_turns) {
      seat.seating = Seating::Replay;
    } else {
      seat.ordinal = world.rank();
    }
    seat.timeout = options.timeout;
    return engine.open(world, seat);
  });
}

}  // namespace meshplan::runtime
