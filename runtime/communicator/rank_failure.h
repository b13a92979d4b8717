#pragma once
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace meshplan::runtime {

/// How far a rank has come: the instruction it started last.
struct Place {
  std::int32_t step = -1;         ///< -1: before the first
  std::int32_t instruction = -1;  ///< index in the rank's program
  friend bool operator==(const Place&, const Place&) = default;
};

/// Turns a place into words, e.g. "step 2, instruction 14: forward chunk 1 micro-batch 3".
using DescribePlace = std::function<std::string(int rank, Place)>;

/// "step 2, instruction 14" or "its start".
std::string describe(Place place);

/// A rank threw, died, or made no progress within the timeout. Every other rank's wait ends with
/// this, so that no run hangs. what() is `reason`, then each rank's last instruction.
class RankFailure : public std::runtime_error {
 public:
  /// `places`: by rank; `in_words` may be empty.
  RankFailure(int rank, const std::string& reason, std::vector<Place> places,
              const DescribePlace& in_words);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const std::vector<Place>& places() const { return places_; }

 private:
  int rank_;
  std::string reason_;
  std::vector<Place> places_;
};

}  // namespace meshplan::runtime
