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
  Flow& f = flows_[flow];
  if (links[1] == links[0]) links[1] = -1;
  f.remaining = work;
  f.since = now;
  f.share = 0;
  f.links = links;
  for (const int link : links)
    if (link >= 0) on_link_[link].push_back(flow);
  if (links[0] < 0 && links[1] < 0)
    set_share(flow, 1, now);
  else
    share_anew(links, now);
}

std::pair<Seconds, int> SharedLinks::next() {
  while (!ends_.empty()) {
    const End& top = ends_.front();
    if (top.version == flows_[top.flow].version && flows_[top.flow].share > 0)
      return {top.time, top.flow};
    std::pop_heap(ends_.begin(), ends_.end(), later);
    ends_.pop_back();
  }
  return {Seconds{0}, -1};
}

void SharedLinks::finish(int flow) {
  Flow& f = flows_[flow];
  const Seconds now = ends_.front().time;
  std::pop_heap(ends_.begin(), ends_.end(), later);
  ends_.pop_back();
  f.share = 0;
  ++f.version;
  for (const int link : f.links)
    if (link >= 0) std::erase(on_link_[link], flow);
  share_anew(f.links, now);
}

void SharedLinks::set_share(int flow, double share, Seconds now) {
  Flow& f = flows_[flow];
  if (f.share == share) return;
  f.remaining = std::max(f.remaining - f.share * (now - f.since), Seconds{0});
  f.since = now;
  f.share = share;
  ends_.push_back({now + f.remaining / share, flow, ++f.version});
  std::push_heap(ends_.begin(), ends_.end(), later);
}

void SharedLinks::share_anew(FlowLinks touched, Seconds now) {
  // Most often the links carry one-link flows only, and each is a component of its own.
  bool simple = true;
  for (const int link : touched)
    if (link >= 0)
      for (const int flow : on_link_[link])
        if (flows_[flow].links[0] >= 0 && flows_[flow].links[1] >= 0) simple = false;
  if (simple) {
    for (const int link : touched)
      if (link >= 0)
        for (const int flow : on_link_[link])
          set_share(flow, 1.0 / static_cast<double>(on_link_[link].size()), now);
    return;
  }
  collect_component(touched);
  const std::vector<double> shares =
      max_min_shares(local_, static_cast<int>(component_links_.size()));
  for (std::size_t i = 0; i < component_flows_.size(); ++i)
    set_share(component_flows_[i], shares[i], now);
  for (const int link : component_links_) link_number_[link] = -1;
  for (const int flow : component_flows_) flow_seen_[flow] = 0;
}

/// Links and flows that `touched` reaches over common flows and links; local_ = their FlowLinks in
/// local link numbers.
void SharedLinks::collect_component(FlowLinks touched) {
  component_links_.clear();
  component_flows_.clear();
  local_.clear();
  const auto number = [&](int link) {
    if (link < 0) return -1;
    if (link_number_[link] < 0) {
      link_number_[link] = static_cast<int>(component_links_.size());
      component_links_.push_back(link);
    }
    return link_number_[link];
  };
  for (const int link : touched) number(link);
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
