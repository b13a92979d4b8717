#include "profiles/engine.h"

#include <array>
#include <string_view>
#include <utility>

namespace meshplan::profiles {
namespace {

constexpr std::array<std::pair<std::string_view, CacheRule>, 3> kCacheRules = {
    {{"of_total", CacheRule::OfTotal},
     {"of_free", CacheRule::OfFree},
     {"static", CacheRule::Static}}};

/// Reads one group of keys; what is absent stays as it was.
class Group {
 public:
  Group(const JsonNode& file, std::string_view name, std::initializer_list<std::string_view> known)
      : node_(file.find_value(name)) {
    if (node_) node_->refuse_unknown_keys(known);
  }

  void real(std::string_view key, double& value, double most = 1e9) const {
    if (const auto node = find(key)) {
      value = node->number();
      if (value < 0 || value > most) {
        node->refuse(most == 1 ? "a number from 0 to 1" : "a number of at least 0");
      }
    }
  }
  void fraction(std::string_view key, double& value) const { real(key, value, 1); }
  void time(std::string_view key, Seconds& value) const {
    double seconds = value.count();
    real(key, seconds);
    value = Seconds{seconds};
  }
  void flag(std::string_view key, bool& value) const {
    if (const auto node = find(key)) value = node->boolean();
  }
  void count(std::string_view key, int& value) const {
    if (const auto node = find(key)) value = node->count();
  }
  void size(std::string_view key, Bytes& value) const {
    if (const auto node = find(key)) value = {node->integer(0, INT64_C(1) << 40)};
  }
  void rule(std::string_view key, CacheRule& value) const {
    const auto node = find(key);
    if (!node) return;
    const std::string text = node->string();
    for (const auto& [name, known] : kCacheRules) {
      if (text == name) {
        value = known;
        return;
      }
    }
    node->refuse("of_total, of_free or static");
  }

 private:
  [[nodiscard]] std::optional<JsonNode> find(std::string_view key) const {
    return node_ ? node_->find_value(key) : std::nullopt;
  }
  std::optional<JsonNode> node_;
};

void read_into(Engine& out, const JsonNode& file) {
  file.require_schema("engine");
  file.refuse_unknown_keys(
      {"schema", "name", "source", "spread", "memory", "scheduler", "kernels", "host", "online"});
  if (const auto node = file.find_value("spread")) out.spread = node->positive_number();
  const Group memory(file, "memory",
                     {"cache_rule", "cache_fraction", "context_bytes", "cache_follows_weights"});
  memory.rule("cache_rule", out.cache_rule);
  memory.fraction("cache_fraction", out.cache_fraction);
  memory.size("context_bytes", out.context);
  memory.flag("cache_follows_weights", out.cache_follows_weights);
  const Group scheduler(file, "scheduler",
                        {"max_batched_tokens", "max_sequences", "chunked_prefill", "fuses_prefill",
                         "schedules_ahead", "reserved_output", "attention_data_parallel"});
  scheduler.count("max_batched_tokens", out.max_batched_tokens);
  scheduler.count("max_sequences", out.max_sequences);
  scheduler.flag("chunked_prefill", out.chunked_prefill);
  scheduler.flag("fuses_prefill", out.fuses_prefill);
  scheduler.flag("schedules_ahead", out.schedules_ahead);
  scheduler.fraction("reserved_output", out.reserved_output);
  scheduler.flag("attention_data_parallel", out.attention_data_parallel);
  const Group kernels(file, "kernels", {"custom_all_reduce"});
  kernels.flag("custom_all_reduce", out.custom_all_reduce);
  const Group host(file, "host",
                   {"step_seconds", "layer_seconds", "prefill_layer_seconds",
                    "pipeline_request_seconds", "ampere_host"});
  host.time("step_seconds", out.step);
  host.time("layer_seconds", out.layer);
  host.time("prefill_layer_seconds", out.prefill_layer);
  host.time("pipeline_request_seconds", out.pipeline_request);
  host.real("ampere_host", out.ampere_host);
  const Group online(file, "online", {"request_seconds", "receive_seconds", "stream_seconds"});
  online.time("request_seconds", out.request);
  online.time("receive_seconds", out.receive);
  online.time("stream_seconds", out.stream);
}

}  // namespace

Engine load_engine(const std::string& name, const DataFiles& files) {
  Engine out;
  read_into(out, files.at("engines", "generic", "engine"));
  out.name = name.empty() ? "generic" : name;
  if (name.empty() || name == "generic") return out;
  if (const auto file = files.find("engines/" + name)) {
    read_into(out, *file);
  } else {
    out.known = false;
  }
  return out;
}

}  // namespace meshplan::profiles
