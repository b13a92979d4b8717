#include "profiles/json_node.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::profiles {

using nlohmann::json;

struct JsonNode::Document {
  std::string source;
  json root;
};

namespace {

constexpr int kDeepest = 64;
constexpr std::uintmax_t kLargestFile = std::uintmax_t{512} << 20;

/// "line 3, column 7" of a byte offset.
std::string line_of(std::string_view text, std::size_t offset) {
  std::size_t line = 1;
  std::size_t start = 0;
  for (std::size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      start = i + 1;
    }
  }
  return "line " + std::to_string(line) + ", column " +
         std::to_string(offset > start ? offset - start : 1);
}

json parse_strictly(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kDeepest) {
      throw InputError(source, "at most " + std::to_string(kDeepest) + " levels of nesting",
                       "a deeper document");
    }
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      throw InputError(source, "each key once", "'" + parsed.get<std::string>() + "' twice");
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::parse_error& error) {
    throw InputError(source + ": " + line_of(text, error.byte), "valid JSON",
                     error.byte > text.size() ? "the end of the file" : "a syntax error");
  } catch (const json::out_of_range&) {
    throw InputError(source, "numbers that fit a double", "a number out of range");
  }
}

const char* kind_of(const json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  if (value.is_array()) return "an array";
  return "an object";
}

std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

JsonNode JsonNode::parse(std::string_view text, const std::string& source) {
  auto document = std::make_shared<Document>(Document{source, parse_strictly(text, source)});
  const json* root = &document->root;
  return {std::move(document), root, ""};
}

JsonNode JsonNode::read_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw InputError(path, "a file", "a directory");
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kLargestFile) {
    throw InputError(path, "a JSON file of at most 512 MiB", std::to_string(size >> 20) + " MiB");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path, "a readable file", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.str(), path);
}

bool JsonNode::is_null() const { return value_->is_null(); }
bool JsonNode::is_string() const { return value_->is_string(); }
bool JsonNode::is_number() const { return value_->is_number(); }
bool JsonNode::is_boolean() const { return value_->is_boolean(); }
bool JsonNode::is_object() const { return value_->is_object(); }
bool JsonNode::is_array() const { return value_->is_array(); }

std::string JsonNode::string() const {
  if (!value_->is_string()) refuse("a string");
  return value_->get<std::string>();
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean()) refuse("true or false");
  return value_->get<bool>();
}

double JsonNode::number() const {
  if (!value_->is_number()) refuse("a number");
  const double value = value_->get<double>();
  if (!std::isfinite(value)) refuse("a finite number");
  return value;
}

double JsonNode::positive_number() const {
  const double value = number();
  if (value <= 0) refuse("a number > 0");
  return value;
}

std::int64_t JsonNode::integer(std::int64_t least, std::int64_t most) const {
  const auto range = [&] {
    if (least == INT64_MIN) return std::string("a whole number");
    if (most == INT64_MAX) return "a whole number of at least " + std::to_string(least);
    return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  };
  if (!value_->is_number()) refuse(range());
  const double real = value_->get<double>();
  if (!std::isfinite(real) || std::floor(real) != real || std::abs(real) > 9.0e18) refuse(range());
  const auto value =
      value_->is_number_float() ? static_cast<std::int64_t>(real) : value_->get<std::int64_t>();
  if (value < least || value > most) refuse(range());
  return value;
}

int JsonNode::count() const { return static_cast<int>(integer(1, INT32_MAX)); }

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!value_->is_object()) refuse("an object");
  const auto found = value_->find(std::string(key));
  if (found == value_->end()) return std::nullopt;
  return JsonNode(document_, &*found, pointer_ + "/" + escaped(key));
}

std::optional<JsonNode> JsonNode::find_value(std::string_view key) const {
  auto found = find(key);
  if (found && found->is_null()) return std::nullopt;
  return found;
}

JsonNode JsonNode::at(std::string_view key) const {
  auto found = find(key);
  if (!found) throw InputError(where(), "the key '" + std::string(key) + "'", "none");
  return *found;
}

std::vector<JsonNode> JsonNode::elements() const {
  if (!value_->is_array()) refuse("an array");
  std::vector<JsonNode> out;
  out.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    out.push_back(JsonNode(document_, &(*value_)[i], pointer_ + "/" + std::to_string(i)));
  }
  return out;
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members() const {
  if (!value_->is_object()) refuse("an object");
  std::vector<std::pair<std::string, JsonNode>> out;
  for (const auto& [key, value] : value_->items()) {
    out.emplace_back(key, JsonNode(document_, &value, pointer_ + "/" + escaped(key)));
  }
  return out;
}

void JsonNode::refuse_unknown_keys(std::initializer_list<std::string_view> known) const {
  const std::vector<std::string> names(known.begin(), known.end());
  for (const auto& [key, node] : members()) {
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    throw InputError(where(), "a known key", "'" + key + "'" + did_you_mean(key, names));
  }
}

void JsonNode::require_schema(std::string_view kind) const {
  const std::string wanted = "meshplan." + std::string(kind) + "/1";
  const std::string found = at("schema").string();
  if (found != wanted && !found.starts_with(wanted + ".")) at("schema").refuse("'" + wanted + "'");
}

std::string JsonNode::where() const {
  return pointer_.empty() ? document_->source : document_->source + "#" + pointer_;
}

std::string JsonNode::shown() const {
  if (value_->is_structured() && value_->empty()) {
    return value_->is_array() ? "an empty array" : "an empty object";
  }
  if (value_->is_array()) {
    const std::size_t entries = value_->size();
    return "an array of " + std::to_string(entries) + (entries == 1 ? " entry" : " entries");
  }
  if (value_->is_object()) return kind_of(*value_);
  constexpr std::size_t kLongest = 60;
  std::string text = value_->dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

void JsonNode::refuse(const std::string& expected) const {
  throw InputError(where(), expected, shown());
}

void JsonNode::refuse_name(const std::string& expected, std::span<const std::string> known) const {
  throw InputError(where(), expected, shown() + did_you_mean(string(), known));
}

const std::string& JsonNode::source() const { return document_->source; }

}  // namespace meshplan::profiles
