#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "profiles/data_files.h"
#include "profiles/device.h"
#include "profiles/json_node.h"

namespace meshplan::profiles {

/// A device as a file states it, schema meshplan.device/1.
Device read_device(const JsonNode& node);
/// The same facts as a document that read_device accepts.
nlohmann::json device_json(const Device& device);

/// Short forms of device ids: "h200" -> "h200-sxm-141gb".
struct DeviceAlias {
  std::string_view alias, id;
};
std::span<const DeviceAlias> device_aliases();
/// The id that an alias stands for, in lower case; what is no alias is returned as it is.
std::string device_id_of(const std::string& id_or_alias);

/// The device of profiles/data/devices/<id>.json by id or alias; any case. Refuses unknown names
/// with the nearest known one.
Device load_device(const std::string& id_or_alias, const DataFiles& files);

}  // namespace meshplan::profiles
