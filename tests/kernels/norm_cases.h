#pragma once
#include "tests/kernels/operation_cases.h"

/// Cases of the norms, for the table of operation_cases.
namespace meshplan::kernels::testing {

void layer_norm(const Expect& expect);
void layer_norm_of_a_large_mean(const Expect& expect);
void layer_norm_of_unlike_columns(const Expect& expect);
void rms_norm(const Expect& expect);
void norm_without_parameters(const Expect& expect);

}  // namespace meshplan::kernels::testing
