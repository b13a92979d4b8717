#include "runtime/communicator/rank_failure.h"

#include <utility>

namespace meshplan::runtime {
namespace {

std::string sentence(const std::string& reason, const std::vector<Place>& places,
                     const DescribePlace& in_words) {
  std::string text = reason;
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    text += "; rank " + std::to_string(rank) + " at ";
    text += in_words ? in_words(static_cast<int>(rank), places[rank]) : describe(places[rank]);
  }
  return text;
}

}  // namespace

std::string describe(Place place) {
  if (place.step < 0) return "its start";
  return "step " + std::to_string(place.step) + ", instruction " +
         std::to_string(place.instruction);
}

RankFailure::RankFailure(int rank, const std::string& reason, std::vector<Place> places,
                         const DescribePlace& in_words)
    : std::runtime_error(sentence(reason, places, in_words)),
      rank_(rank),
      reason_(reason),
      places_(std::move(places)) {}

}  // namespace meshplan::runtime
