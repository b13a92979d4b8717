#pragma once
#include <nlohmann/json_fwd.hpp>

#include "profiles/device_profile.h"
#include "profiles/json_node.h"

namespace meshplan::profiles {

/// A profile as a file states it, schema meshplan.profile/1. `device` = the facts of the device
/// that the file is of, or of the one that borrows it.
DeviceProfile read_profile(const JsonNode& node, const Device& device);

/// The id of the device that a profile's file is of.
std::string profile_device(const JsonNode& node);

/// The document that read_profile accepts. Residuals are rounded to 0.001.
nlohmann::ordered_json profile_json(const DeviceProfile& profile);

}  // namespace meshplan::profiles
