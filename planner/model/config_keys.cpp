#include "planner/model/config_keys.h"

#include <span>
#include <string>
#include <utility>

#include "profiles/input_error.h"

namespace meshplan::planner {

using profiles::InputError;
using profiles::JsonNode;

std::optional<JsonNode> ConfigKeys::first(Names names) const {
  for (const std::string_view name : names) {
    if (auto found = config_.find_value(name)) return found;
  }
  return std::nullopt;
}

std::optional<int> ConfigKeys::count(Names names, int most) const {
  const auto found = first(names);
  if (!found) return std::nullopt;
  return static_cast<int>(found->integer(1, most));
}

int ConfigKeys::count_or(Names names, int fallback, int most) const {
  return count(names, most).value_or(fallback);
}

int ConfigKeys::needed(Names names, int most) const {
  if (const auto found = count(names, most)) return *found;
  const std::string key(*names.begin());
  throw InputError(
      config_.where(),
      "the key '" + key + "', which model_type " + config_.at("model_type").shown() + " needs",
      config_.find(key) ? "null" : "none");
}

bool ConfigKeys::flag_or(Names names, bool fallback) const {
  const auto found = first(names);
  return found ? found->boolean() : fallback;
}

double ConfigKeys::dropout_or(Names names, double fallback) const {
  const auto found = first(names);
  if (!found) return fallback;
  const double value = found->number();
  if (value < 0 || value > 1) found->refuse("a probability from 0 to 1");
  return value;
}

Activation ConfigKeys::activation(Names names, std::string_view fallback, bool gated) const {
  using Named = std::pair<std::string_view, Activation>;
  static constexpr Named kPlain[] = {
      {"gelu", Activation::Gelu},        {"gelu_new", Activation::Gelu},
      {"gelu_fast", Activation::Gelu},   {"gelu_pytorch_tanh", Activation::Gelu},
      {"quick_gelu", Activation::Gelu},  {"relu", Activation::Relu},
      {"relu2", Activation::SquaredRelu}};
  static constexpr Named kGated[] = {
      {"silu", Activation::SwiGlu},     {"swish", Activation::SwiGlu},
      {"gelu", Activation::GeGlu},      {"gelu_new", Activation::GeGlu},
      {"gelu_fast", Activation::GeGlu}, {"gelu_pytorch_tanh", Activation::GeGlu}};
  const auto found = first(names);
  const std::string name = found ? found->string() : std::string(fallback);
  const auto look_up = [&](std::span<const Named> table) -> Activation {
    std::string known;
    for (const auto& [key, value] : table) {
      if (name == key) return value;
      known += (known.empty() ? "" : ", ") + std::string(key);
    }
    found->refuse("one of " + known);  // a fallback is always in its table
  };
  return gated ? look_up(kGated) : look_up(kPlain);
}

void require_divides(const ConfigKeys& keys, ConfigKeys::Names names, int divisor, int whole,
                     std::string_view what) {
  if (whole % divisor == 0) return;
  const std::string expected = "a divisor of " + std::string(what) + " " + std::to_string(whole);
  for (const std::string_view name : names) {
    if (const auto found = keys.config().find_value(name)) found->refuse(expected);
  }
  throw InputError(keys.config().where(), std::string(*names.begin()) + " " + expected,
                   std::to_string(divisor) + " by default");
}

std::vector<int> full_attention_layers(const ConfigKeys& keys, int layers, int period) {
  std::vector<int> out;
  const auto types = keys.config().find_value("layer_types");
  if (!types) {
    for (int layer = period - 1; layer < layers; layer += period) out.push_back(layer);
    return out;
  }
  const std::vector<JsonNode> each = types->elements();
  if (static_cast<int>(each.size()) != layers) {
    types->refuse(std::to_string(layers) + " entries, one a layer");
  }
  for (int layer = 0; layer < layers; ++layer) {
    const JsonNode& type = each[static_cast<std::size_t>(layer)];
    const std::string name = type.string();
    if (name == "full_attention") {
      out.push_back(layer);
    } else if (name != "sliding_attention" && name != "chunked_attention") {
      type.refuse("full_attention, sliding_attention or chunked_attention");
    }
  }
  return out;
}

}  // namespace meshplan::planner
