#pragma once
#include <chrono>
#include <cstdint>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "runtime/communicator/communicator.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {

inline profiles::Seconds steady_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

/// One of the cores that measure the same work at the same time.
class MeasuringCore {
 public:
  /// `all`: the cores, which start every measurement together; null: this one alone.
  explicit MeasuringCore(Communicator* all) : all_(all) {}

  kernels::cpu::Queue& queue() { return queue_; }

  /// The median time of `work` over at least `rounds` runs and `patience`; the first does not
  /// count.
  template <typename Work>
  profiles::Seconds time(Work work, int rounds = 5,
                         profiles::Seconds patience = profiles::Seconds{0.01}) {
    work();
    if (all_ != nullptr) all_->barrier();
    std::vector<profiles::Seconds> times;
    const profiles::Seconds begin = steady_now();
    profiles::Seconds spent{0};
    for (int round = 0; round < rounds || steady_now() - begin < patience; ++round) {
      const profiles::Seconds start = steady_now();
      work();
      times.push_back(steady_now() - start);
      spent += times.back();
    }
    const auto runs = static_cast<double>(times.size());
    const profiles::Seconds typical = median(std::move(times));
    spent_ += spent;
    typical_ += runs * typical;
    if (spent_ > kStep) {
      mean_over_median_.push_back(spent_ / typical_);
      spent_ = typical_ = profiles::Seconds{0};
    }
    return typical;
  }
  profiles::Seconds time_of(const kernels::Operation& operation) {
    return time([&] { run(operation, queue_); });
  }

  /// All runs over as many medians, in the median stretch of half a second so far. A step is a sum
  /// of many operations, so it lasts as long as their means, and a few runs of one operation give a
  /// stable median but no stable mean. What disturbs less than every other step, the median of the
  /// steps leaves out.
  [[nodiscard]] double mean_over_median() const {
    return mean_over_median_.empty() ? 1 : median(mean_over_median_);
  }

 private:
  static constexpr profiles::Seconds kStep{0.5};

  Communicator* all_;
  kernels::cpu::Queue queue_;
  profiles::Seconds spent_{0}, typical_{0};  ///< of the stretch under way
  std::vector<double> mean_over_median_;     ///< of each stretch
};

/// Numbers that no kernel treats specially; the same in every run.
std::vector<float> ordinary_numbers(std::int64_t count);

/// Hands out stretches of one large block, round and round: what a call is given, it has not seen
/// for so long that no cache of its core holds it, as weights and saved activations in training.
class ColdMemory {
 public:
  float* take(std::int64_t count);

 private:
  std::vector<float> block_ = ordinary_numbers(std::int64_t{24} << 20);  // 96 MiB
  std::int64_t next_ = 0;
};

}  // namespace meshplan::runtime
