#include "planner/layout/stage_split.h"

#include <algorithm>
#include <cmath>

namespace meshplan::planner {
namespace {

/// Layers that fit each chunk when no chunk may weigh more than `limit`; empty if they do not all
/// fit. Greedy from the front is optimal for contiguous splits of equal layers.
std::vector<int> split_within(double limit, int layers, int chunks, double first, double last) {
  std::vector<int> out(static_cast<std::size_t>(chunks));
  int left = layers;
  for (int c = 0; c < chunks; ++c) {
    double room = limit;
    if (c == 0) room -= first;
    if (c == chunks - 1) room -= last;
    if (room < 0) return {};
    const bool end = c == 0 || c == chunks - 1;
    const int most = static_cast<int>(room + 1e-9);
    if (most < 1 && !end) return {};
    // Later chunks each need one layer, save the last, which may hold the head alone.
    const int reserve = std::max(0, chunks - 2 - c);
    out[static_cast<std::size_t>(c)] = std::clamp(left - reserve, 0, most);
    left -= out[static_cast<std::size_t>(c)];
  }
  if (left > 0) return {};
  for (int c = 1; c + 1 < chunks; ++c) {
    if (out[static_cast<std::size_t>(c)] < 1) return {};
  }
  return out;
}

/// Work of one layer's and of the head's matrix products, as multiply-adds per token.
double layer_weight(const Transformer& model) {
  const double attention =
      static_cast<double>(model.head_dim) * (2.0 * model.heads + 2.0 * model.kv_heads);
  double width = model.ffn;
  if (model.experts) {
    width = static_cast<double>(model.experts->per_token) * model.experts->width +
            model.experts->shared_width;
  }
  return model.hidden * (attention + (model.gated() ? 3 : 2) * width);
}

}  // namespace

std::vector<int> default_split(int layers, int chunks, double embedding_weight,
                               double head_weight) {
  if (layers % chunks == 0) {
    return std::vector<int>(static_cast<std::size_t>(chunks), layers / chunks);
  }
  if ((layers + 2) % chunks == 0) {
    std::vector<int> out(static_cast<std::size_t>(chunks), (layers + 2) / chunks);
    out.front() -= 1;
    out.back() -= 1;
    return out;
  }
  // The best limit is some whole number of layers plus what a chunk's extra weighs.
  std::vector<double> limits;
  for (int n = 0; n <= layers; ++n) {
    limits.push_back(n);
    limits.push_back(n + embedding_weight);
    limits.push_back(n + head_weight);
  }
  std::sort(limits.begin(), limits.end());
  // Feasibility is monotone in the limit, so the least feasible one is found by bisection.
  const auto best = std::partition_point(limits.begin(), limits.end(), [&](double limit) {
    return split_within(limit, layers, chunks, embedding_weight, head_weight).empty();
  });
  if (best == limits.end()) return {};
  return split_within(*best, layers, chunks, embedding_weight, head_weight);
}

std::vector<int> stage_split(const Layout& layout, const Transformer& model) {
  if (!layout.stages.empty()) return layout.stages;
  const double head = static_cast<double>(model.hidden) * model.vocab / layer_weight(model);
  return default_split(model.layers, layout.chunks(), 0.0, head);
}

int owner_of_chunk(const Layout& layout, int chunk) {
  if (layout.schedule == ScheduleKind::ZbV) {
    return chunk < layout.pp ? chunk : 2 * layout.pp - 1 - chunk;
  }
  return chunk % layout.pp;
}

}  // namespace meshplan::planner
