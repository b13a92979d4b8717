#pragma once
#include <string>

#include "planner/export/launch.h"

namespace meshplan::planner {

/// What a serving engine is told besides the layout.
struct EngineSettings {
  std::string model;             ///< as a shell word that the user's MODEL replaces
  int longest = 0;               ///< tokens of prompt and output together
  int prompt = 0;                ///< tokens of a prompt
  int sequences = 0;             ///< at once on one replica; 0: as many as the cache holds
  int batched_tokens = 0;        ///< of one step; 0: the engine's default
  double memory_fraction = 0.9;  ///< of the device that engine and cache may take
};
EngineSettings engine_settings(const LaunchPlan& plan);

/// "0.9", "0.85"
std::string fraction_text(double fraction);

/// The lines that start a command once for each replica of a node, each with its own devices and
/// port; the bare command for one replica. `command` says $PORT where its port goes.
std::string once_per_replica(const Layout& layout, const std::string& command);

/// Replicas that a script starts.
int replicas_of_script(std::string_view text);

}  // namespace meshplan::planner
