#pragma once
#include <string>
#include <vector>

#include "planner/model/transformer.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// Reads a Hugging Face config.json by the keys and defaults of its own family (`model_type`).
/// Unknown keys are ignored. Throws InputError for an unknown model_type, a missing key that the
/// family needs, and values that cannot be a model (heads that do not divide, sizes out of range).
/// Any JSON document gives either a consistent Transformer or an InputError.
Transformer read_config(const profiles::JsonNode& config, std::string name);

/// A config.json and what the model is called.
struct NamedConfig {
  std::string name;  ///< the preset's, or the file's stem (config.json: its folder's)
  profiles::JsonNode config;
};
/// `preset_or_path`: the name of a preset in models/, a config.json, or a folder that holds one.
/// Whatever exists as a path under a name with '/' or ".json" is a path; else the preset is tried
/// first. Throws InputError that names the nearest preset.
NamedConfig find_config(const std::string& preset_or_path, const profiles::DataFiles& files);
/// The same, read.
Transformer load_model(const std::string& preset_or_path, const profiles::DataFiles& files);

/// Families that read_config knows, sorted.
std::vector<std::string> model_types();

}  // namespace meshplan::planner
