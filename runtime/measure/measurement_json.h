#pragma once
#include <string>

#include "profiles/json_node.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {

/// Schema meshplan.measurement/1. Doubles are written so that they read back the same bits.
std::string measurement_text(const Measurement& measurement);

/// The inverse. Throws InputError that names the place.
Measurement read_measurement(const profiles::JsonNode& document);

}  // namespace meshplan::runtime
