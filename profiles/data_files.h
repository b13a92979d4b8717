#pragma once
#include <optional>
#include <string>
#include <vector>

#include "profiles/json_node.h"

namespace meshplan::profiles {

/// Finds presets and profiles by name: first in the directories given (`--profiles DIR`, then
/// $XDG_DATA_HOME/meshplan/profiles), then among the files embedded in the binary. Names are paths
/// below profiles/data, without ".json": "models/gpt2", "devices/h100-sxm-80gb".
class DataFiles {
 public:
  /// Only what the binary carries.
  DataFiles() = default;
  /// Earlier directories win. A directory that does not exist is refused.
  explicit DataFiles(std::vector<std::string> directories);

  /// The document; none if no file has that name.
  [[nodiscard]] std::optional<JsonNode> find(const std::string& name) const;
  /// As find, but throws InputError that names the nearest; `what` = "model", "cluster", ...
  [[nodiscard]] JsonNode at(const std::string& folder, const std::string& name,
                            const std::string& what) const;
  /// Names in `folder` without folder and extension, sorted, each once.
  [[nodiscard]] std::vector<std::string> names(const std::string& folder) const;

 private:
  std::vector<std::string> directories_;
};

/// Directories to search by the rules above: `--profiles` (empty: not given), then the user's.
std::vector<std::string> profile_directories(const std::string& flag);

}  // namespace meshplan::profiles
