#pragma once
#include <string>

#include "profiles/cluster.h"
#include "profiles/data_files.h"

namespace meshplan::cli {

/// As profiles::load_cluster; but `localhost` is the GPUs of this machine, and what joins them,
/// where the GPU engine finds some that a preset describes. Else it is the cores, and a note on
/// standard error says why if there may be GPUs.
profiles::Cluster cluster_from(const std::string& text, const profiles::DataFiles& files);

}  // namespace meshplan::cli
