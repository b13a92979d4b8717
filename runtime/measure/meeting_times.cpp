#include "runtime/measure/meeting_times.h"

#include <algorithm>
#include <vector>

#include "runtime/communicator/in_process.h"
#include "runtime/measure/measuring_core.h"

namespace meshplan::runtime {

using kernels::matrix_view;
using profiles::Seconds;

AllReduceTime all_reduce_time(std::int64_t elements) {
  AllReduceTime out{{4 * elements}, Seconds{0}};
  run_in_process(2, {}, [&](Communicator& world) {
    std::vector<float> data = ordinary_numbers(elements);
    constexpr int kRounds = 30;
    std::vector<Seconds> times;
    for (int round = 0; round < kRounds; ++round) {
      world.barrier();
      const Seconds start = steady_now();
      world.all_reduce(data, Reduction::Sum);
      times.push_back(steady_now() - start);
    }
    if (world.rank() == 0) out.time = median(std::move(times));
  });
  return out;
}

namespace {

/// Meetings after `products` products each, over the work before them.
double waiting_after(int products, int meetings_a_stretch, int stretches) {
  constexpr std::int64_t kRows = 200, kWidth = 640;
  std::vector<double> shares(2);
  run_in_process(2, {}, [&](Communicator& world) {
    kernels::cpu::Queue queue;
    ColdMemory memory;
    std::vector<float> x = ordinary_numbers(kRows * kWidth), y = x;
    Seconds worked{0}, waited{0}, least{1e9};
    const auto meet = [&] {
      const Seconds start = steady_now();
      for (int product = 0; product < products; ++product) {
        run(kernels::Gemm{.a = matrix_view(x.data(), kRows, kWidth),
                          .b = matrix_view(memory.take(kWidth * kWidth), kWidth, kWidth),
                          .c = matrix_view(y.data(), kRows, kWidth)},
            queue);
      }
      const Seconds arrived = steady_now();
      world.barrier();
      const Seconds wait = steady_now() - arrived;
      worked += arrived - start;
      waited += wait;
      least = std::min(least, wait);
    };
    meet();  // threads start one after the other
    std::vector<double> means;
    for (int stretch = 0; stretch < stretches; ++stretch) {
      worked = waited = Seconds{0};
      for (int meeting = 0; meeting < meetings_a_stretch; ++meeting) meet();
      means.push_back((waited - meetings_a_stretch * least) / worked);
    }
    shares[static_cast<std::size_t>(world.rank())] = median(std::move(means));
  });
  return std::max(0.0, (shares[0] + shares[1]) / 2);
}

}  // namespace

profiles::Waiting waiting(Effort effort) {
  const int stretches = effort == Effort::Full ? 7 : 3;
  return {waiting_after(4, 60, stretches), waiting_after(60, 5, stretches)};
}

}  // namespace meshplan::runtime
