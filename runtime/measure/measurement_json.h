#pragma once
#include <string>

#include "profiles/json_node.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {

/// Schema meshplan.measurement/1. Doubles are written so that they read back the same bits. `plan`:
/// the text of the plan file that ran, with that plan alone; empty: left out.
std::string measurement_text(const Measurement& measurement, const std::string& plan = "");

/// The inverse, but for the plan. Throws InputError that names the place.
Measurement read_measurement(const profiles::JsonNode& document);

}  // namespace meshplan::runtime
