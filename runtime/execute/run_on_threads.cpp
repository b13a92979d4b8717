#include "runtime/execute/run_on_threads.h"

#include <memory>

#include "runtime/device/cpu_device.h"

namespace meshplan::runtime {

std::vector<RankResult> run_on_threads(const Training& training, InProcessOptions options) {
  refuse_unsupported(training);
  options.in_words = instruction_in_words(training);
  // A rank that stalls outlives this call: what it uses must too.
  struct Shared {
    Training training;
    std::vector<RankResult> results;
  };
  const int ranks = training.layout.devices();
  const auto shared = std::make_shared<Shared>(Shared{training, std::vector<RankResult>(ranks)});
  run_in_process(ranks, options, [shared](Communicator& world) {
    CpuDevice device(world);
    shared->results[world.rank()] = run_rank(shared->training, device);
  });
  return std::move(shared->results);
}

}  // namespace meshplan::runtime
