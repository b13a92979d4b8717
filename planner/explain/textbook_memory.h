#pragma once
#include <string>

#include "planner/layout/layout.h"
#include "planner/memory/stage_memory.h"
#include "planner/problem.h"

namespace meshplan::planner {

/// What a formula that people use says of the fullest device.
struct TextbookEstimate {
  std::string name;     ///< "16 bytes a parameter", "Korthikanti et al."
  std::string formula;  ///< with the numbers of this layout left as letters
  double bytes_a_parameter = 0;
  profiles::Bytes states;  ///< weights, gradients, optimizer
  profiles::Bytes activations;
  [[nodiscard]] profiles::Bytes total() const { return states + activations; }
};

/// Mixed-precision Adam: 2 + 2 + 12 bytes a parameter, cut evenly over tp * pp, and over
/// D = dp * cp as the ZeRO stage says:
///
///   zero0: 16    zero1: 4 + 12/D    zero2: 2 + 14/D    zero3: 16/D      bytes * P / (t p)
///
/// Source: Rajbhandari et al., ZeRO (SC 2020), section 3.1 and figure 1.
TextbookEstimate states_estimate(const Problem& problem, const Layout& layout);

/// The states as above at Megatron's 18 bytes (6 + 12/D with a distributed optimizer), and the
/// activations of the first of p stages, which holds L layers' worth of micro-batches:
///
///   s b h L / t (34 + 5 a s / h)   tp and sp;   s b h L (10 + 24/t + 5 a s / (h t))   tp alone
///   34 s b h L / t, s b h L (10 + 24/t)         recompute=selective
///   2 s b h L                                   recompute=full
///   times (1 + (p - 1) / (p v)) when interleaved, times min(1, m / p) with few micro-batches m
///
/// It knows GPT: multi-head attention that keeps its s x s matrices, an MLP of 4h with GELU,
/// dropout masks. Source: Korthikanti et al., Reducing Activation Recomputation in Large
/// Transformer Models (2022), section 4 and table 2; 18 and 6 + 12/D: Megatron-LM README.
TextbookEstimate korthikanti_estimate(const Problem& problem, const Layout& layout);

/// The part of korthikanti_estimate that is attention's s x s matrices, 5 a s / h: what flash
/// attention never keeps.
profiles::Bytes attention_matrix_bytes(const Problem& problem, const Layout& layout);

}  // namespace meshplan::planner
