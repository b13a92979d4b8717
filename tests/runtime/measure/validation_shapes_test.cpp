// What `profile` measures and what tests/validation runs have no shape in common: a prediction that
// only looks its answer up would prove nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/range/iterator_range.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "planner/layout/layout_text.h"
#include "planner/memory/rank_parameters.h"
#include "planner/model/config.h"
#include "planner/model/model_graphs.h"
#include "planner/model/shard.h"
#include "profiles/json_node.h"
#include "runtime/measure/host_tables.h"

namespace meshplan::runtime {
namespace {

using Shape = std::array<std::int64_t, 3>;
constexpr std::int64_t kSequence = 256;  // tests/validation/run.sh

struct Line {
  std::string model, mode;
  int batch = 0;
  planner::Layout layout;
};

std::vector<Line> suite() {
  std::ifstream file(SOURCE_DIR "/tests/validation/layouts.txt");
  std::vector<Line> out;
  for (std::string text; std::getline(file, text);) {
    if (text.starts_with('#')) continue;
    std::istringstream words(text);
    Line line;
    std::string layout;
    words >> line.model >> line.batch >> line.mode >> layout;
    line.layout = planner::layout_from_text(layout);
    out.push_back(line);
  }
  return out;
}

struct Shapes {
  std::set<Shape> products;
  std::set<std::array<std::int64_t, 2>> attention;  ///< length, head dimension
  std::set<std::int64_t> reduced;                   ///< elements of collectives
};

void add_block(const planner::OperatorGraph& block, const Line& line, Shapes& out) {
  const planner::LayerSplit split = planner::layer_split(line.layout);
  const std::int64_t tokens = line.layout.mbs * kSequence;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(block))) {
    const planner::Operator& op = block[vertex];
    if (op.kind == planner::OperatorKind::Attention) out.attention.insert({kSequence, op.head_dim});
    if (op.kind != planner::OperatorKind::Gemm) continue;
    const planner::RankGemm g = planner::rank_gemm(op, tokens, split);
    out.products.insert({g.rows, g.columns, g.inner});
    out.products.insert({g.rows, g.inner, g.columns});
    out.products.insert({g.inner, g.columns, g.rows});
    out.reduced.insert(tokens * op.input);
    out.reduced.insert(tokens * op.output);
  }
}

Shapes shapes_of_the_suite() {
  Shapes out;
  for (const Line& line : suite()) {
    const std::string path = SOURCE_DIR "/tests/validation/" + line.model + ".json";
    const planner::Transformer model =
        planner::read_config(profiles::JsonNode::read_file(path), line.model);
    const planner::ModelGraphs graphs =
        planner::model_graphs(model, true, profiles::DataType::Fp32);
    for (const auto* block : {&graphs.dense_layer, &graphs.embedding, &graphs.head}) {
      add_block(*block, line, out);
    }
  }
  return out;
}

bool holds(const std::vector<std::int64_t>& nodes, std::int64_t value) {
  return std::find(nodes.begin(), nodes.end(), value) != nodes.end();
}

TEST(ValidationSuite, HasTwelveLayoutsFourOfThemInParallel) {
  const std::vector<Line> lines = suite();
  EXPECT_GE(lines.size(), 12U);
  const auto parallel =
      std::count_if(lines.begin(), lines.end(), [](auto& line) { return line.mode == "parallel"; });
  EXPECT_GE(parallel, 4);
  std::set<int> replayed;
  for (const Line& line : lines) {
    if (line.mode == "replay") {
      replayed.insert(line.layout.devices());
    } else {
      EXPECT_EQ(line.layout.devices(), 2);
    }
  }
  EXPECT_EQ(replayed, (std::set<int>{8, 16}));
}

TEST(ValidationSuite, SharesNoShapeWithTheProfile) {
  const Shapes suite = shapes_of_the_suite();
  ASSERT_GT(suite.products.size(), 20U);
  ASSERT_FALSE(suite.attention.empty());
  for (const Effort effort : {Effort::Brief, Effort::Full}) {
    const ProfiledShapes profiled = profiled_shapes(effort);
    for (const auto& [m, n, k] : suite.products) {
      const bool node = holds(profiled.gemm_rows, m) && holds(profiled.gemm_widths, n) &&
                        holds(profiled.gemm_widths, k);
      EXPECT_FALSE(node) << m << " x " << n << " x " << k;
      const Shape shape = {m, n, k};
      EXPECT_EQ(std::count(profiled.gemm_held_out.begin(), profiled.gemm_held_out.end(), shape), 0);
    }
    for (const auto& [length, dim] : suite.attention) {
      EXPECT_FALSE(holds(profiled.attention_lengths, length) && holds(profiled.head_dims, dim));
    }
    for (const std::int64_t elements : suite.reduced) {
      EXPECT_FALSE(holds(profiled.all_reduce_elements, elements)) << elements;
    }
  }
}

}  // namespace
}  // namespace meshplan::runtime
