#pragma once
#include <optional>
#include <string>

namespace meshplan::profiles {

/// The preset of a GPU by what its driver calls it: "NVIDIA H100 80GB HBM3" -> "h100-sxm-80gb";
/// none for a product that no preset describes.
std::optional<std::string> device_of_product(const std::string& name);

}  // namespace meshplan::profiles
