#include "plain_transformer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "kernels/random.h"
#include "runtime/execute/tokens.h"

namespace meshplan::runtime {
namespace {

using planner::Transformer;

/// The normal number of element (row, column): Box-Muller, as kernels/random.h states it.
double normal(kernels::RandomKey key, int row, int column) {
  kernels::RandomKey other = key;
  other.seed ^= std::uint64_t{1} << 63;
  const double w1 = kernels::random_word(key, static_cast<std::uint64_t>(row), column);
  const double w2 = kernels::random_word(other, static_cast<std::uint64_t>(row), column);
  return std::sqrt(-2 * std::log((w1 + 1) / 4294967296.0)) *
         std::cos(2 * std::numbers::pi * w2 / 4294967296.0);
}

/// Makes parameters in the order and under the stream numbers that the executor documents: ends
/// 0 .. 5, then 32 a layer from 8 on.
struct Drawing {
  std::map<std::string, PlainMatrix> all;
  std::uint64_t seed;

  void drawn(const std::string& name, std::uint64_t stream, int rows, int cols, double stddev) {
    PlainMatrix& m = constant(name, rows, cols, 0);
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < cols; ++c) m.at(r, c) = stddev * normal({seed, stream}, r, c);
    }
  }
  PlainMatrix& constant(const std::string& name, int rows, int cols, double value) {
    PlainMatrix& m = all[name];
    m = {rows, cols, std::vector<double>(static_cast<std::size_t>(rows) * cols, value)};
    return m;
  }
};

/// One sequence through the model.
class Pass {
 public:
  /// `seed` of the dropout, and which sequence of the batch this is; none: nothing drops.
  Pass(const Transformer& model, const std::map<std::string, PlainMatrix>& parameters,
       std::optional<std::uint64_t> seed = std::nullopt, int sequence = 0)
      : model_(model), parameters_(parameters), seed_(seed), sequence_(sequence) {}

  /// Logits after each token of `text`, [tokens, words].
  PlainMatrix logits(const std::vector<std::int32_t>& text) const {
    const int n = static_cast<int>(text.size());
    PlainMatrix x = zeros(n, model_.hidden);
    for (int i = 0; i < n; ++i) {
      for (int c = 0; c < model_.hidden; ++c) {
        x.at(i, c) = p("token table").at(text[i], c);
        if (has("positions")) x.at(i, c) += p("positions").at(i, c);
      }
    }
    drop(x, 0);
    for (int l = 0; l < model_.layers; ++l) {
      const std::string layer = "layer " + std::to_string(l) + " ";
      PlainMatrix branch = attention(norm(x, layer + "norm 1"), layer, 1 + 3 * l);
      drop(branch, 2 + 3 * l);
      add(x, branch);
      branch = mlp(norm(x, layer + "norm 2"), layer);
      drop(branch, 3 + 3 * l);
      add(x, branch);
    }
    x = norm(x, "final norm");
    const PlainMatrix& classes = p(model_.tied_embeddings ? "token table" : "head");
    PlainMatrix out = zeros(n, model_.vocab);
    for (int i = 0; i < n; ++i) {
      for (int v = 0; v < model_.vocab; ++v) {
        for (int c = 0; c < model_.hidden; ++c) out.at(i, v) += x.at(i, c) * classes.at(v, c);
        if (has("head bias")) out.at(i, v) += p("head bias").at(0, v);
      }
    }
    return out;
  }

  /// Mean loss over the tokens of one sequence of `text`, one longer than what is seen.
  double loss(const std::vector<std::int32_t>& text) const {
    const PlainMatrix all = logits({text.begin(), text.end() - 1});
    double sum = 0;
    for (int i = 0; i < all.rows; ++i) {
      double total = 0;
      for (int v = 0; v < all.cols; ++v) total += std::exp(all.at(i, v));
      sum += std::log(total) - all.at(i, text[i + 1]);
    }
    return sum / all.rows;
  }

 private:
  [[nodiscard]] const PlainMatrix& p(const std::string& name) const { return parameters_.at(name); }
  [[nodiscard]] bool has(const std::string& name) const { return parameters_.contains(name); }
  static PlainMatrix zeros(int rows, int cols) {
    return {rows, cols, std::vector<double>(static_cast<std::size_t>(rows) * cols, 0.0)};
  }
  static void add(PlainMatrix& x, const PlainMatrix& y) {
    for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] += y.values[i];
  }

  /// What dropout `place` of step 0 leaves of an element: streams of dropout lie from 2^62 on.
  [[nodiscard]] double kept(int place, std::uint64_t row, int column, double probability) const {
    const kernels::RandomKey key{*seed_,
                                 (std::uint64_t{1} << 62) | static_cast<std::uint64_t>(place)};
    return kernels::random_word(key, row, column) >= probability * 4294967296.0
               ? 1 / (1 - probability)
               : 0;
  }
  /// Row = token of the global batch.
  void drop(PlainMatrix& x, int place) const {
    if (!seed_ || model_.dropout == 0) return;
    for (int i = 0; i < x.rows; ++i) {
      const auto row = static_cast<std::uint64_t>(sequence_) * x.rows + i;
      for (int c = 0; c < x.cols; ++c) x.at(i, c) *= kept(place, row, c, model_.dropout);
    }
  }
  /// Of a probability: row = (head of the global batch, query).
  [[nodiscard]] double kept_of_attention(int place, int head, int query, int key) const {
    if (!seed_ || model_.attention_dropout == 0) return 1;
    const auto row = static_cast<std::uint64_t>(sequence_ * model_.heads + head) << 32 | query;
    return kept(place, row, key, model_.attention_dropout);
  }

  /// x W + b, where b is there
  [[nodiscard]] PlainMatrix linear(const PlainMatrix& x, const std::string& name) const {
    const PlainMatrix& w = p(name);
    PlainMatrix y = zeros(x.rows, w.cols);
    for (int i = 0; i < x.rows; ++i) {
      for (int j = 0; j < w.cols; ++j) {
        for (int k = 0; k < x.cols; ++k) y.at(i, j) += x.at(i, k) * w.at(k, j);
        if (has(name + " bias")) y.at(i, j) += p(name + " bias").at(0, j);
      }
    }
    return y;
  }

  [[nodiscard]] PlainMatrix norm(const PlainMatrix& x, const std::string& name) const {
    const bool centred = model_.normalization == planner::Normalization::LayerNorm;
    PlainMatrix y = x;
    for (int i = 0; i < x.rows; ++i) {
      double mean = 0, square = 0;
      for (int c = 0; c < x.cols; ++c) mean += x.at(i, c) / x.cols;
      if (!centred) mean = 0;
      for (int c = 0; c < x.cols; ++c) square += std::pow(x.at(i, c) - mean, 2) / x.cols;
      for (int c = 0; c < x.cols; ++c) {
        y.at(i, c) = (x.at(i, c) - mean) / std::sqrt(square + 1e-5) * p(name).at(0, c);
        if (centred) y.at(i, c) += p(name + " shift").at(0, c);
      }
    }
    return y;
  }

  /// Rotates the halves of every head by position / 10000^(2 i / d).
  void rotate(PlainMatrix& x) const {
    if (model_.position != planner::PositionKind::Rotary) return;
    const int d = model_.head_dim;
    for (int s = 0; s < x.rows; ++s) {
      for (int head = 0; head < x.cols / d; ++head) {
        for (int i = 0; i < d / 2; ++i) {
          const double angle = s / std::pow(10000.0, 2.0 * i / d);
          double& a = x.at(s, head * d + i);
          double& b = x.at(s, head * d + i + d / 2);
          const double turned = a * std::cos(angle) - b * std::sin(angle);
          b = b * std::cos(angle) + a * std::sin(angle);
          a = turned;
        }
      }
    }
  }

  [[nodiscard]] PlainMatrix attention(const PlainMatrix& x, const std::string& layer,
                                      int place) const {
    PlainMatrix q = linear(x, layer + "query");
    PlainMatrix k = linear(x, layer + "key");
    const PlainMatrix v = linear(x, layer + "value");
    rotate(q);
    rotate(k);
    const int d = model_.head_dim;
    PlainMatrix out = zeros(x.rows, model_.heads * d);
    for (int head = 0; head < model_.heads; ++head) {
      const int kv = head / (model_.heads / model_.kv_heads);
      for (int i = 0; i < x.rows; ++i) {
        std::vector<double> weight(i + 1);
        double total = 0;
        for (int j = 0; j <= i; ++j) {
          double score = 0;
          for (int c = 0; c < d; ++c) score += q.at(i, head * d + c) * k.at(j, kv * d + c);
          weight[j] = std::exp(score / std::sqrt(static_cast<double>(d)));
          total += weight[j];
        }
        for (int j = 0; j <= i; ++j) {
          const double p = kept_of_attention(place, head, i, j) * weight[j] / total;
          for (int c = 0; c < d; ++c) {
            out.at(i, head * d + c) += p * v.at(j, kv * d + c);
          }
        }
      }
    }
    return linear(out, layer + "projection");
  }

  [[nodiscard]] PlainMatrix mlp(const PlainMatrix& x, const std::string& layer) const {
    PlainMatrix up = linear(x, layer + "up");
    if (model_.gated()) {
      const PlainMatrix gate = linear(x, layer + "gate");
      for (std::size_t i = 0; i < up.values.size(); ++i) {
        up.values[i] *= gate.values[i] / (1 + std::exp(-gate.values[i]));
      }
    } else {
      for (double& u : up.values) {
        u = u / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (u + 0.044715 * u * u * u)));
      }
    }
    return linear(up, layer + "down");
  }

  const Transformer& model_;
  const std::map<std::string, PlainMatrix>& parameters_;
  std::optional<std::uint64_t> seed_;
  int sequence_;
};

}  // namespace

std::map<std::string, PlainMatrix> plain_parameters(const Training& training) {
  return plain_parameters(training.model, training.options.seed);
}

std::map<std::string, PlainMatrix> plain_parameters(const Transformer& m, std::uint64_t seed) {
  constexpr double kStddev = 0.02;
  const double into_residual = kStddev / std::sqrt(2.0 * m.layers);
  const bool shifted = m.normalization == planner::Normalization::LayerNorm;
  Drawing d{{}, seed};
  d.drawn("token table", 0, m.vocab, m.hidden, kStddev);
  if (m.position == planner::PositionKind::Learned) {
    d.drawn("positions", 1, m.learned_positions, m.hidden, kStddev);
  }
  const auto norm = [&](const std::string& name) {
    d.constant(name, 1, m.hidden, 1);
    if (shifted) d.constant(name + " shift", 1, m.hidden, 0);
  };
  norm("final norm");
  if (!m.tied_embeddings) d.drawn("head", 4, m.vocab, m.hidden, kStddev);
  if (m.head_bias) d.constant("head bias", 1, m.vocab, 0);
  for (int l = 0; l < m.layers; ++l) {
    const std::string layer = "layer " + std::to_string(l) + " ";
    const std::uint64_t base = 8 + 32 * static_cast<std::uint64_t>(l);
    const auto linear = [&](const std::string& name, std::uint64_t stream, int rows, int cols,
                            double stddev, bool bias) {
      d.drawn(layer + name, base + stream, rows, cols, stddev);
      if (bias) d.constant(layer + name + " bias", 1, cols, 0);
    };
    norm(layer + "norm 1");
    norm(layer + "norm 2");
    linear("query", 2, m.hidden, m.heads * m.head_dim, kStddev, m.qkv_bias);
    linear("key", 3, m.hidden, m.kv_heads * m.head_dim, kStddev, m.qkv_bias);
    linear("value", 4, m.hidden, m.kv_heads * m.head_dim, kStddev, m.qkv_bias);
    linear("projection", 8, m.heads * m.head_dim, m.hidden, into_residual, m.projection_bias);
    if (m.gated()) linear("gate", 12, m.hidden, m.ffn, kStddev, m.mlp_bias);
    linear("up", 13, m.hidden, m.ffn, kStddev, m.mlp_bias);
    linear("down", 16, m.ffn, m.hidden, into_residual, m.mlp_bias);
  }
  return std::move(d.all);
}

std::vector<double> plain_logits(const Transformer& model,
                                 const std::map<std::string, PlainMatrix>& parameters,
                                 const std::vector<std::int32_t>& text) {
  const PlainMatrix all = Pass(model, parameters).logits(text);
  return {all.values.end() - all.cols, all.values.end()};
}

double plain_loss(const Training& training, const std::map<std::string, PlainMatrix>& parameters) {
  double sum = 0;
  const planner::Workload& workload = training.workload;
  for (int s = 0; s < workload.global_batch; ++s) {
    sum += Pass(training.model, parameters, training.options.seed, s)
               .loss(synthetic_tokens(training.options.seed, s, 1, workload.seq_len + 1,
                                      training.model.vocab));
  }
  return sum / workload.global_batch;
}

}  // namespace meshplan::runtime
