#pragma once
#include <string>

#include "profiles/cluster.h"

namespace meshplan::cli {

/// "What bus bandwidth should I get?": one collective on a cluster, alone.
struct CollectiveQuestion {
  std::string operation;  ///< "all_reduce", ...
  std::string bytes;      ///< as nccl-tests counts them: "1G"
  std::string ranks;      ///< "": all devices of the cluster
};

/// The answer as JSON or as text. Throws InputError for an unknown operation or a bad size.
std::string collective_answer(const CollectiveQuestion& question, const profiles::Cluster& cluster,
                              bool as_json);

}  // namespace meshplan::cli
