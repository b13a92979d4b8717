#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meshplan::profiles {

/// A value of a JSON document that knows where it stands. Every accessor throws InputError with the
/// file, the JSON pointer, what was expected and what was found, so that readers need no checks of
/// their own. Copies share the document.
///
/// Documents deeper than 64 levels, larger than 512 MiB, with duplicate keys or with numbers that
/// are not finite doubles are refused while parsing.
class JsonNode {
 public:
  /// Reads and parses `path`.
  static JsonNode read_file(const std::string& path);
  /// Parses `text`; `source` is how messages name it.
  static JsonNode parse(std::string_view text, const std::string& source);

  [[nodiscard]] bool is_null() const;
  [[nodiscard]] bool is_string() const;
  [[nodiscard]] bool is_number() const;
  [[nodiscard]] bool is_boolean() const;
  [[nodiscard]] bool is_object() const;
  [[nodiscard]] bool is_array() const;

  [[nodiscard]] std::string string() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] double number() const;
  /// A finite number > 0.
  [[nodiscard]] double positive_number() const;
  /// A whole number within [least, most]; 8.0 counts as whole.
  [[nodiscard]] std::int64_t integer(std::int64_t least = INT64_MIN,
                                     std::int64_t most = INT64_MAX) const;
  /// A whole number within [1, 2^31 - 1].
  [[nodiscard]] int count() const;

  /// Member `key`; throws when it is missing.
  [[nodiscard]] JsonNode at(std::string_view key) const;
  /// Member `key`; none when missing (a null member is present).
  [[nodiscard]] std::optional<JsonNode> find(std::string_view key) const;
  /// As find, and none for null too.
  [[nodiscard]] std::optional<JsonNode> find_value(std::string_view key) const;
  [[nodiscard]] std::vector<JsonNode> elements() const;
  /// In the order of the keys, sorted.
  [[nodiscard]] std::vector<std::pair<std::string, JsonNode>> members() const;

  /// Refuses any member that is not in `known`, naming the nearest known key.
  void refuse_unknown_keys(std::initializer_list<std::string_view> known) const;
  /// Requires "schema" == "meshplan.<kind>/1" (or a later minor version "1.x").
  void require_schema(std::string_view kind) const;

  /// "file.json#/a/b"
  [[nodiscard]] std::string where() const;
  /// What stands here, short enough for a message.
  [[nodiscard]] std::string shown() const;
  /// Throws InputError at this place.
  [[noreturn]] void refuse(const std::string& expected) const;
  /// As refuse, for a name that is none of `known`: says which is nearest.
  [[noreturn]] void refuse_name(const std::string& expected,
                                std::span<const std::string> known) const;

  /// The value itself, for code whose subject is JSON.
  [[nodiscard]] const nlohmann::json& raw() const { return *value_; }
  [[nodiscard]] const std::string& source() const;

 private:
  struct Document;
  JsonNode(std::shared_ptr<const Document> document, const nlohmann::json* value,
           std::string pointer)
      : document_(std::move(document)), value_(value), pointer_(std::move(pointer)) {}

  std::shared_ptr<const Document> document_;
  const nlohmann::json* value_;
  std::string pointer_;
};

}  // namespace meshplan::profiles
