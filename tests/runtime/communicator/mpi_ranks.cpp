// Started by mpirun: the claims that in_process_test checks on threads, and what a failure says.
//   mpi_ranks PLUGIN claims | throw | silent
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "communicator_claims.h"
#include "runtime/communicator/mpi.h"

int main(int arguments, char** argument) {
  using namespace meshplan::runtime;
  if (arguments != 3) return 2;
  const std::string what = argument[2];
  try {
    run_over_mpi(
        argument[1],
        {.timeout = meshplan::profiles::Seconds{what == "silent" ? 0.5 : 30.0}, .in_words = {}},
        [&](Communicator& world) {
          if (what == "claims") {
            for (const Claim& claim : kClaims) claim.check(world);
          }
          world.note({.step = 1, .instruction = 20 + world.rank()});
          world.barrier();
          if (what == "throw" && world.rank() == 2) throw std::runtime_error("no luck");
          std::vector<float> x(3);
          if (what == "silent" && world.rank() == 0) world.receive(x, 1, 0);
          world.barrier();
          if (world.rank() == 0 && what == "claims") std::printf("all claims hold\n");
        });
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    std::fflush(stdout);
    std::_Exit(3);  // the launcher ends the others
  }
  return 0;
}
