#pragma once
#include <optional>
#include <string>

#include "planner/model/transformer.h"
#include "planner/workload.h"
#include "profiles/cluster.h"
#include "profiles/device_profile.h"
#include "profiles/framework.h"

namespace meshplan::planner {

/// A question: this model, on this cluster, for this workload, run by this software.
struct Problem {
  Transformer model;
  std::string model_config;  ///< the config.json text, carried into plan.json
  profiles::Cluster cluster;
  Workload workload;
  profiles::Framework framework;
  profiles::DeviceProfile profile;
  std::optional<bool> flash_attention;  ///< none: as the framework does
  bool global_sync = true;              ///< optimizer_sync=global; false: post_validated
  double memory_margin = 0;             ///< fits iff peak <= capacity * (1 - margin)

  [[nodiscard]] bool uses_flash_attention() const {
    return flash_attention.value_or(framework.flash_attention);
  }
  [[nodiscard]] profiles::Bytes memory_limit() const {
    return scaled(cluster.device.memory, 1 - memory_margin);
  }
};

}  // namespace meshplan::planner
