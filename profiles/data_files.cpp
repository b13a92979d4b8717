#include "profiles/data_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "profiles/embedded_data.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::profiles {
namespace fs = std::filesystem;

DataFiles::DataFiles(std::vector<std::string> directories) : directories_(std::move(directories)) {
  for (const std::string& directory : directories_) {
    if (!fs::is_directory(directory))
      throw InputError(directory, "a directory of profiles", "none");
  }
}

std::optional<JsonNode> DataFiles::find(const std::string& name) const {
  const std::string file = name + ".json";
  for (const std::string& directory : directories_) {
    const fs::path path = fs::path(directory) / file;
    if (fs::exists(path)) return JsonNode::read_file(path.string());
  }
  for (const EmbeddedFile& embedded : embedded_files()) {
    if (embedded.name == file) return JsonNode::parse(embedded.text, std::string(embedded.name));
  }
  return std::nullopt;
}

JsonNode DataFiles::at(const std::string& folder, const std::string& name,
                       const std::string& what) const {
  if (auto found = find(folder + "/" + name)) return *found;
  const auto known = names(folder);
  throw InputError(what, "a known " + what + " (see 'meshplan list " + folder + "')",
                   "'" + name + "'" + did_you_mean(name, known));
}

std::vector<std::string> DataFiles::names(const std::string& folder) const {
  std::set<std::string> out;
  const auto add = [&](const fs::path& file) {
    if (file.extension() == ".json") out.insert(file.stem().string());
  };
  for (const std::string& directory : directories_) {
    const fs::path below = fs::path(directory) / folder;
    if (!fs::is_directory(below)) continue;
    for (const auto& entry : fs::directory_iterator(below)) add(entry.path());
  }
  for (const EmbeddedFile& embedded : embedded_files()) {
    if (fs::path(embedded.name).parent_path() == folder) add(fs::path(embedded.name));
  }
  return {out.begin(), out.end()};
}

std::vector<std::string> profile_directories(const std::string& flag) {
  std::vector<std::string> out;
  if (!flag.empty()) out.push_back(flag);
  fs::path data;
  if (const char* xdg = std::getenv("XDG_DATA_HOME"); xdg != nullptr && *xdg != '\0') {
    data = xdg;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    data = fs::path(home) / ".local" / "share";
  }
  const fs::path user = data / "meshplan" / "profiles";
  if (!data.empty() && fs::is_directory(user)) out.push_back(user.string());
  return out;
}

}  // namespace meshplan::profiles
