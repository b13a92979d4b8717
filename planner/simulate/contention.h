#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "profiles/units.h"

namespace meshplan::planner {

/// The links that one flow crosses at the same time; -1: none.
using FlowLinks = std::array<int, 2>;

/// Max-min fair shares of flows over `links` links of capacity 1: no flow can get more without one
/// that has as little or less getting less. A flow that crosses no link gets 1. Progressive
/// filling: the link that leaves least to each of its flows fixes them, and so on with what
/// remains. Source: Bertsekas & Gallager, Data Networks, section 6.5.2.
std::vector<double> max_min_shares(std::span<const FlowLinks> flows, int links);

/// Flows that come and go on shared links, and when each will be done. When one comes or goes, only
/// flows that it reaches over common links get new shares. A flow's work is the time that it takes
/// alone; a flow that is never disturbed ends at exactly start + work.
///
/// Fair sharing is sensitive: where many transfers meet on one link, prices that differ in the
/// ninth digit can move a step by about a percent, because who meets whom changes from then on. The
/// result is still the same for the same input.
class SharedLinks {
 public:
  /// No flow is under way; flows are numbered 0 .. flows-1 by the caller, one at a time each.
  void reset(int links, int flows);
  void start(int flow, profiles::Seconds now, profiles::Seconds work, FlowLinks links);
  /// The flow that ends first under present shares (lowest number on ties); flow -1: none under
  /// way.
  [[nodiscard]] std::pair<profiles::Seconds, int> next();
  /// Takes the flow that next() named out, at its time.
  void finish(int flow);

 private:
  struct Flow {
    profiles::Seconds remaining{0}, since{0}, end{0};
    double share = 0;  ///< 0: not under way
    FlowLinks links{-1, -1};
    std::uint32_t version = 0;  ///< counts its shares
  };
  struct End {
    profiles::Seconds time;
    int flow;
    std::uint32_t version;
  };
  static bool later(const End& a, const End& b) {
    return a.time != b.time ? a.time > b.time : a.flow > b.flow;
  }
  void share_anew(int link, profiles::Seconds now);
  void set_share(int flow, double share, double inverse, profiles::Seconds now);
  void note_first_end(std::span<const int> flows);
  void collect_component(int link);

  std::vector<Flow> flows_;
  std::vector<std::vector<int>> on_link_;
  /// Heap that holds the first end of each set of flows that reach each other (and entries that are
  /// out of date, which are skipped).
  std::vector<End> ends_;
  // The touched component, by local number.
  std::vector<int> link_number_, component_links_, component_flows_;
  std::vector<char> flow_seen_;
  std::vector<FlowLinks> local_;
};

}  // namespace meshplan::planner
