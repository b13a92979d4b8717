#pragma once
#include "planner/fit/tables.h"

namespace meshplan::planner {

/// Share of the data sheet's bandwidth that kernels reach which do little but read: products of at
/// most 64 rows and decode attention, on operands of more than four times L2. The better of the
/// two; of each, what one row in twenty passes, among the rows that is_fitted() chooses, launches
/// being small. The default of MemoryBoundConstants where no row is so large.
double streaming_efficiency(const profiles::Device& device, const Tables& tables);

}  // namespace meshplan::planner
