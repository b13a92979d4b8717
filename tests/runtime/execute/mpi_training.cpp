// Started by mpirun with 4 ranks: each trains as the rank that it is, and compares losses and its
// own gradients with the same layout on threads. MPI sums in another order: equal to rounding.
//   mpi_training PLUGIN LAYOUT
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "runtime/communicator/mpi.h"
#include "runtime/device/cpu_device.h"
#include "runtime/execute/run_on_threads.h"
#include "tiny_training.h"

namespace {

using namespace meshplan::runtime;

void compare(const RankResult& over_mpi, const RankResult& on_threads) {
  for (std::size_t step = 0; step < on_threads.losses.size(); ++step) {
    if (std::abs(over_mpi.losses[step] - on_threads.losses[step]) > 1e-5 * on_threads.losses[step])
      throw std::runtime_error("the loss of step " + std::to_string(step) + " differs");
  }
  for (std::size_t g = 0; g < on_threads.gradients.size(); ++g) {
    const GradientPart& expected = on_threads.gradients[g];
    float most = 0, apart = 0;
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      most = std::max(most, std::abs(expected.values[i]));
      apart = std::max(apart, std::abs(expected.values[i] - over_mpi.gradients.at(g).values.at(i)));
    }
    if (!(apart <= 1e-5F * most)) throw std::runtime_error("gradient of " + expected.name);
  }
}

}  // namespace

int main(int arguments, char** argument) {
  if (arguments != 3) return 2;
  try {
    const Training training = tiny_training(tiny_model(Family::Llama), argument[2]);
    const auto on_threads = run_on_threads(training, {});
    run_over_mpi(argument[1], {.in_words = instruction_in_words(training)},
                 [&](Communicator& world) {
                   CpuDevice device(world);
                   compare(run_rank(training, device), on_threads.at(world.rank()));
                   world.barrier();
                   if (world.rank() == 0) std::printf("all ranks agree\n");
                 });
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    std::fflush(stdout);
    std::_Exit(3);
  }
  return 0;
}
