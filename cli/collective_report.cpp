#include "cli/collective_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective_model.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::Collective;
using profiles::human;

Collective operation_from(const std::string& text) {
  if (const auto known = planner::collective_from(text)) return *known;
  std::vector<std::string> names;
  for (int i = 0; i < planner::kCollectives; ++i) {
    names.emplace_back(planner::name(static_cast<Collective>(i)));
  }
  throw profiles::InputError("--collective", fmt::format("one of {}", fmt::join(names, ", ")),
                             "'" + text + "'" + profiles::did_you_mean(text, names));
}

/// Bus bandwidth over algorithm bandwidth, as nccl-tests defines it.
double bus_factor(Collective operation, int ranks) {
  const double n = ranks;
  switch (operation) {
    case Collective::AllReduce:
      return 2 * (n - 1) / n;
    case Collective::AllGather:
    case Collective::ReduceScatter:
    case Collective::AllToAll:
      return (n - 1) / n;
    case Collective::Broadcast:
    case Collective::Reduce:
    case Collective::SendReceive:
      return 1;
  }
  return 1;
}

}  // namespace

std::string collective_answer(const CollectiveQuestion& question, const profiles::Cluster& cluster,
                              bool as_json) {
  const Collective operation = operation_from(question.operation);
  if (question.bytes.empty()) {
    throw profiles::InputError("--bytes", "a size such as 512, 64K, 256M or 1G", "nothing");
  }
  const profiles::Bytes bytes = profiles::parse_bytes(question.bytes, "--bytes");
  if (bytes.count == 0) throw profiles::InputError("--bytes", "at least 1 byte", "0");
  const int ranks =
      question.ranks.empty() ? cluster.devices() : count_flag(question.ranks, "--ranks");
  if (ranks < 2 || ranks > cluster.devices()) {
    throw profiles::InputError("--ranks",
                               fmt::format("2 to {} ranks of this cluster", cluster.devices()),
                               std::to_string(ranks));
  }
  const int per_node = cluster.devices_used_per_node;
  const int nodes = (ranks + per_node - 1) / per_node;
  if (ranks % nodes != 0) {
    throw profiles::InputError("--ranks", fmt::format("ranks that fill {} nodes evenly", nodes),
                               std::to_string(ranks));
  }
  const auto shape = planner::lone_group(ranks, nodes, cluster);
  const auto choice = planner::explain_collective(operation, bytes, shape, cluster);
  const auto estimate = planner::collective_time(operation, bytes, shape, cluster);
  constexpr double kTenthQuantile = 1.2816;  // of the normal distribution: an 80% interval
  const double factor = std::exp(kTenthQuantile * estimate.spread);
  const profiles::BytesPerSecond algorithm = bytes / estimate.time;
  const profiles::BytesPerSecond bus = bus_factor(operation, ranks) * algorithm;
  if (as_json) {
    return nlohmann::json{{"collective", planner::name(operation)},
                          {"bytes", bytes.count},
                          {"ranks", ranks},
                          {"nodes", nodes},
                          {"cluster", cluster.name},
                          {"nccl_version", cluster.nccl_version},
                          {"algorithm", choice.algorithm},
                          {"protocol", choice.protocol},
                          {"seconds", estimate.time.count()},
                          {"seconds_low", estimate.time.count() / factor},
                          {"seconds_high", estimate.time.count() * factor},
                          {"algorithm_bytes_per_second", algorithm.rate},
                          {"bus_bytes_per_second", bus.rate},
                          {"bus_bytes_per_second_low", bus.rate / factor},
                          {"bus_bytes_per_second_high", bus.rate * factor}}
               .dump(1) +
           "\n";
  }
  std::string out =
      fmt::format("{} of {} over {} ranks on {} node{} of {}\n", planner::name(operation),
                  human(bytes), ranks, nodes, nodes == 1 ? "" : "s", cluster.name);
  out += choice.protocol.empty() ? std::string("ranks are threads and read each other's memory\n")
                                 : fmt::format("NCCL {} chooses {} {}\n", cluster.nccl_version,
                                               choice.algorithm, choice.protocol);
  out += fmt::format("time           {} ({} to {} with 80%)\n", human(estimate.time),
                     human(estimate.time / factor), human(estimate.time * factor));
  out += fmt::format("algbw          {}\nbusbw          {} ({} to {})\n", human(algorithm),
                     human(bus), human(bus / factor), human(factor * bus));
  return out;
}

}  // namespace meshplan::cli
