#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace meshplan::profiles {

/// The member of `known` with the least edit distance to `name`; none if all are too far to be a
/// slip of the finger (more than a third of the length, at least 2). Ties: the first.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> known);

/// "; did you mean 'x'?" or "" for messages.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace meshplan::profiles
