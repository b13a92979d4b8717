#pragma once

namespace meshplan::runtime::cuda {

/// Multiprocessors of each part when `multiprocessors` are cut in `parts` equal ones, as green
/// contexts of compute capability 9.0 and later want them: at least `least`, a multiple of
/// `multiple`. 0: it cannot be cut so.
///
/// H200 (132): 2 of 64, 4 of 32, 8 of 16; what is left over is idle.
/// Source: cuda.h, cuDevSmResourceSplitByCount.
constexpr int partition_size(int multiprocessors, int parts, int least = 8, int multiple = 8) {
  if (parts < 1) return 0;
  const int size = multiprocessors / parts / multiple * multiple;
  return size < least ? 0 : size;
}

/// First element of share `rank` of n elements that `ranks` ranks reduce together. Shares begin at
/// multiples of 16 elements where there are enough, so that loads are wide.
constexpr long long share_begin(long long n, int ranks, int rank) {
  if (rank == ranks) return n;
  constexpr long long kWide = 16;
  const long long begin = n * rank / ranks;
  return n < kWide * ranks ? begin : begin / kWide * kWide;
}

}  // namespace meshplan::runtime::cuda
