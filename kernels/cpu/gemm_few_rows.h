#pragma once
#include "kernels/cpu/kernels.h"

namespace meshplan::kernels::cpu {

/// Whether a product c = a b^T has so few rows that reading b bounds it: the logits of a few tokens
/// against a table of embeddings. Rows of a and b lie along what is summed, so that such a product
/// is dot products, and b is read once as it lies; a GEMM would pack it first. For AVX-512: the
/// registers of smaller sets do not hold the sums.
bool has_few_rows(const Gemm& op);

void run_few_rows(const Gemm& op, Queue& queue);

}  // namespace meshplan::kernels::cpu
