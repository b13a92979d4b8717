#include "planner/model/shard.h"

#include <algorithm>
#include <cmath>

namespace meshplan::planner {
namespace {

std::int64_t share(std::int64_t whole, std::int64_t parts) { return (whole + parts - 1) / parts; }

/// Output features of a projection to heads that one rank makes: whole heads.
std::int64_t rank_head_features(const Operator& op, const LayerSplit& split) {
  return std::int64_t{rank_heads(op, split)} * op.head_dim +
         std::int64_t{rank_kv_heads(op, split)} * (op.head_dim + op.value_head_dim);
}

/// part / whole of `count`, exact where it divides, else rounded up.
std::int64_t fraction(std::int64_t count, std::int64_t part, std::int64_t whole) {
  if (count % whole == 0) return count / whole * part;
  return static_cast<std::int64_t>(std::ceil(
      static_cast<double>(count) * static_cast<double>(part) / static_cast<double>(whole)));
}

/// Copies of tokens that reach one rank's experts, all of them together, balanced.
std::int64_t rank_dispatched(const Operator& op, std::int64_t tokens, const LayerSplit& split) {
  return share(tokens * op.experts_per_token * split.etp, split.tp);
}

}  // namespace

int rank_heads(const Operator& op, const LayerSplit& split) {
  return static_cast<int>(share(op.heads, split.tp));
}
int rank_kv_heads(const Operator& op, const LayerSplit& split) {
  return static_cast<int>(share(op.kv_heads, split.tp));
}

RankGemm rank_gemm(const Operator& op, std::int64_t tokens, const LayerSplit& split) {
  const bool gemm = op.kind == OperatorKind::Gemm || op.kind == OperatorKind::GroupedGemm ||
                    op.kind == OperatorKind::Router;
  if (!gemm) return {};
  switch (op.split) {
    case Split::Replicated:
      return {tokens, op.output, op.input};
    case Split::Sequence:
      return {split.sp ? share(tokens, split.tp) : tokens, op.output, op.input};
    case Split::Column:
    case Split::Vocabulary:
      return {tokens, share(op.output, split.tp), op.input};
    case Split::Row:
      return {tokens, op.output, share(op.input, split.tp)};
    case Split::Heads:
      return {tokens, rank_head_features(op, split), op.input};
    case Split::Experts: {
      const std::int64_t groups = share(op.experts, split.ep);
      const std::int64_t rows = share(rank_dispatched(op, tokens, split), groups);
      if (op.expert_rows) return {rows, op.output, share(op.input, split.etp), groups};
      return {rows, share(op.output, split.etp), op.input, groups};
    }
  }
  return {};
}

std::int64_t rank_parameters(const Operator& op, const LayerSplit& split) {
  std::int64_t cut = op.parameters;
  switch (op.split) {
    case Split::Replicated:
    case Split::Sequence:
      break;
    case Split::Column:
    case Split::Row:
      cut = share(cut, split.tp);
      break;
    case Split::Heads:
      if (cut > 0) cut = fraction(cut, rank_head_features(op, split), op.output);
      break;
    case Split::Vocabulary: {
      const int vocab = op.kind == OperatorKind::Embedding ? op.input : op.output;
      cut = fraction(cut, share(vocab, split.tp), vocab);
      break;
    }
    case Split::Experts:
      if (cut > 0) cut = share(cut / op.experts * share(op.experts, split.ep), split.etp);
      break;
  }
  return cut + op.replicated_parameters;
}

std::int64_t rank_tied_parameters(const Operator& op, const LayerSplit& split) {
  if (op.tied_parameters == 0) return 0;
  return fraction(op.tied_parameters, share(op.output, split.tp), op.output);
}

profiles::Bytes rank_bytes(const Tensor& tensor, std::int64_t tokens, std::int64_t kv_length,
                           const LayerSplit& split) {
  // Doubles are exact up to 2^53 bytes, and a quotient that is whole comes out whole.
  double bytes =
      static_cast<double>(tensor.width) * tensor.bytes_per_element * static_cast<double>(tokens);
  if (tensor.attention_scores) bytes *= static_cast<double>(kv_length);
  switch (tensor.spread) {
    case Spread::Replicated:
      break;
    case Spread::Sequence:
      if (split.sp) bytes /= split.tp;
      break;
    case Spread::Tensor:
      if (tensor.units > 0) {
        bytes = bytes * static_cast<double>(share(tensor.units, split.tp)) / tensor.units;
      } else {
        bytes /= split.tp;
      }
      break;
    case Spread::Dispatched:
      bytes = bytes * split.etp / split.tp;
      break;
  }
  constexpr double kMost = 4.6e18;
  return {static_cast<std::int64_t>(std::ceil(std::min(bytes, kMost)))};
}

}  // namespace meshplan::planner
