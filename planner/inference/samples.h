#pragma once
#include <vector>

#include "profiles/units.h"

namespace meshplan::planner {

/// What one half and what all but one in a hundred requests wait at most.
struct Percentiles {
  profiles::Seconds p50{0}, p99{0};
};

/// Times that were seen, each by a number of requests.
class Samples {
 public:
  void add(double seconds, int requests) {
    seen_.push_back({seconds, requests});
    sum_ += seconds * requests;
    count_ += requests;
  }
  /// Zero of none.
  [[nodiscard]] profiles::Seconds mean() const;
  /// By nearest rank: the smallest time that at least that part of the requests does not exceed.
  [[nodiscard]] Percentiles percentiles() const;

 private:
  struct Seen {
    double seconds = 0;
    int requests = 0;
  };
  std::vector<Seen> seen_;
  double sum_ = 0, count_ = 0;
};

}  // namespace meshplan::planner
