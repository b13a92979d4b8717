#pragma once
#include <cstdint>

#include "planner/model/operators.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// Degrees that cut one layer's operators and tensors.
struct LayerSplit {
  int tp = 1;       ///< tensor parallel
  bool sp = false;  ///< sequence parallelism inside the tensor-parallel group
  int ep = 1;       ///< expert parallel
  int etp = 1;      ///< tensor parallel inside experts; tp unless the layout says otherwise
};

/// One rank's share of a matrix product: `groups` products of [rows, inner] x [inner, columns].
/// (GemmShape of planner/cost/compute/gemm.h is one product as a device runs it.)
struct RankGemm {
  std::int64_t rows = 0, columns = 0, inner = 0;
  std::int64_t groups = 1;
  [[nodiscard]] double multiply_adds() const {
    return static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(inner) *
           static_cast<double>(groups);
  }
};

/// Shape of a Gemm, GroupedGemm or Router on one rank; `tokens` = tokens of the rank's sequences
/// before sequence parallelism (micro-batch * sequence / cp). Uneven cuts: the largest rank's.
/// Routing is taken as balanced. For other kinds all zero.
RankGemm rank_gemm(const Operator& op, std::int64_t tokens, const LayerSplit& split);

/// Heads of queries, and of keys and values, on one rank: at least one each.
int rank_heads(const Operator& op, const LayerSplit& split);
int rank_kv_heads(const Operator& op, const LayerSplit& split);

/// Parameters of the operator that one rank holds, without tied ones.
std::int64_t rank_parameters(const Operator& op, const LayerSplit& split);
/// Tied parameters of the operator that one rank uses (cut by vocabulary).
std::int64_t rank_tied_parameters(const Operator& op, const LayerSplit& split);

/// Bytes of a tensor on one rank. `kv_length` = keys that each token attends to (whole sequence).
profiles::Bytes rank_bytes(const Tensor& tensor, std::int64_t tokens, std::int64_t kv_length,
                           const LayerSplit& split);

}  // namespace meshplan::planner
