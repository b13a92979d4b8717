#include "planner/simulate/contention.h"

#include <algorithm>

namespace meshplan::planner {

using profiles::Seconds;

std::vector<double> max_min_shares(std::span<const FlowLinks> flows, int links) {
  std::vector<double> shares(flows.size(), 0.0);
  std::vector<double> left(links, 1.0);
  std::vector<int> open(links, 0);  // flows on the link that have no share yet
  for (std::size_t i = 0; i < flows.size(); ++i) {
    if (flows[i][0] < 0 && flows[i][1] < 0) shares[i] = 1;
    for (const int link : flows[i])
      if (link >= 0) ++open[link];
  }
  for (;;) {
    int tightest = -1;
    for (int link = 0; link < links; ++link)
      if (open[link] > 0 &&
          (tightest < 0 || left[link] / open[link] < left[tightest] / open[tightest]))
        tightest = link;
    if (tightest < 0) return shares;
    const double share = left[tightest] / open[tightest];
    for (std::size_t i = 0; i < flows.size(); ++i) {
      if (shares[i] > 0 || (flows[i][0] != tightest && flows[i][1] != tightest)) continue;
      shares[i] = share;
      for (const int link : flows[i])
        if (link >= 0) {
          left[link] = std::max(left[link] - share, 0.0);
          --open[link];
        }
    }
  }
}

void SharedLinks::reset(int links, int flows) {
  flows_.assign(flows, {});
  on_link_.resize(links);
  for (auto& on : on_link_) on.clear();
  ends_.clear();
  link_number_.assign(links, -1);
  flow_seen_.assign(flows, 0);
}

void SharedLinks::start(int flow, Seconds now, Seconds work, FlowLinks links) {
  if (links[0] < 0 || links[1] == links[0]) links = {links[0] < 0 ? links[1] : links[0], -1};
  Flow& f = flows_[flow];
  f.remaining = work;
  f.since = now;
  f.share = 0;
  f.links = links;
  for (const int link : links)
    if (link >= 0) on_link_[link].push_back(flow);
  if (links[0] >= 0) return share_anew(links[0], now);
  set_share(flow, 1, 1, now);
  note_first_end({&flow, 1});
}

std::pair<Seconds, int> SharedLinks::next() {
  while (!ends_.empty()) {
    const End& top = ends_.front();
    if (top.version == flows_[top.flow].version) return {top.time, top.flow};
    std::pop_heap(ends_.begin(), ends_.end(), later);
    ends_.pop_back();
  }
  return {Seconds{0}, -1};
}

void SharedLinks::finish(int flow) {
  Flow& f = flows_[flow];
  f.share = 0;
  ++f.version;
  for (const int link : f.links)
    if (link >= 0) std::erase(on_link_[link], flow);
  for (const int link : f.links)  // what the flow held together may now be two
    if (link >= 0) share_anew(link, f.end);
}

void SharedLinks::set_share(int flow, double share, double inverse, Seconds now) {
  Flow& f = flows_[flow];
  if (f.share == share) return;
  f.remaining = std::max(f.remaining - f.share * (now - f.since), Seconds{0});
  f.since = now;
  f.share = share;
  f.end = now + f.remaining * inverse;
  ++f.version;
}

void SharedLinks::note_first_end(std::span<const int> flows) {
  if (flows.empty()) return;
  End first{flows_[flows[0]].end, flows[0], 0};
  for (const int flow : flows.subspan(1))
    if (const End other{flows_[flow].end, flow, 0}; later(first, other)) first = other;
  first.version = flows_[first.flow].version;
  ends_.push_back(first);
  std::push_heap(ends_.begin(), ends_.end(), later);
}

/// New shares for all flows that `link` reaches.
void SharedLinks::share_anew(int link, Seconds now) {
  // Most often a link carries only flows that cross nothing else.
  const std::vector<int>& on = on_link_[link];
  if (std::none_of(on.begin(), on.end(), [&](int flow) { return flows_[flow].links[1] >= 0; })) {
    const auto count = static_cast<double>(on.size());
    for (const int flow : on) set_share(flow, 1 / count, count, now);
    return note_first_end(on);
  }
  collect_component(link);
  const std::vector<double> shares =
      max_min_shares(local_, static_cast<int>(component_links_.size()));
  for (std::size_t i = 0; i < component_flows_.size(); ++i)
    set_share(component_flows_[i], shares[i], 1 / shares[i], now);
  note_first_end(component_flows_);
  for (const int each : component_links_) link_number_[each] = -1;
  for (const int flow : component_flows_) flow_seen_[flow] = 0;
}

/// Links and flows that `link` reaches over common flows and links; local_ = their FlowLinks in
/// local link numbers.
void SharedLinks::collect_component(int link) {
  component_links_.clear();
  component_flows_.clear();
  local_.clear();
  const auto number = [&](int global) {
    if (global < 0) return -1;
    if (link_number_[global] < 0) {
      link_number_[global] = static_cast<int>(component_links_.size());
      component_links_.push_back(global);
    }
    return link_number_[global];
  };
  number(link);
  for (std::size_t i = 0; i < component_links_.size(); ++i)
    for (const int flow : on_link_[component_links_[i]]) {
      if (flow_seen_[flow]) continue;
      flow_seen_[flow] = 1;
      component_flows_.push_back(flow);
      const int first = number(flows_[flow].links[0]), second = number(flows_[flow].links[1]);
      local_.push_back({first, second});
    }
}

}  // namespace meshplan::planner
