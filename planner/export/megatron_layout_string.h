#pragma once
#include <string>
#include <vector>

namespace meshplan::planner {

/// The stages of a --pipeline-model-parallel-layout string: decoder layers of each chunk in model
/// order. "Et*12|(t*13|)*2t*10L" gives 12, 13, 13, 10.
std::vector<int> megatron_layout_stages(const std::string& text, const std::string& where);
/// The string of such stages, the embedding on the first and the loss on the last.
std::string megatron_layout_string(const std::vector<int>& layers_per_chunk);

}  // namespace meshplan::planner
