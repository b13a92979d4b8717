#pragma once
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/tensor_view.h"

namespace meshplan::kernels::testing {

/// How far an output may be from the oracle's: |error| <= absolute + relative * |expected|.
/// A bf16 output gets 2^-7 more, the distance of neighbours: two values on both sides of the middle
/// between them round apart, however close they are.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

/// Memory of one run of an operation. Two arenas of one seed give equal inputs to two back ends.
/// Rows are padded, and the padding is checked: a kernel that writes between rows is caught.
class Arena {
 public:
  explicit Arena(unsigned seed) : random_(seed) {}

  /// Standard normal elements times `scale`.
  TensorView random(std::int64_t rows, std::int64_t cols, ElementType type = ElementType::F32,
                    double scale = 1.0);
  /// As `random`, compared after the run: an output, or an input that is updated in place.
  TensorView output(std::int64_t rows, std::int64_t cols, ElementType type, Tolerance tolerance);
  /// Compares another tensor too.
  TensorView compared(const TensorView& view, Tolerance tolerance);

  std::span<float> vector(std::int64_t size, double scale = 1.0);
  std::span<float> output_vector(std::int64_t size, Tolerance tolerance);
  /// Integers in [first, last].
  std::span<const std::int32_t> integers(std::int64_t size, std::int32_t first, std::int32_t last);

  /// The first difference from the oracle beyond the tolerances, or damaged padding; "" if none.
  std::string difference(const Arena& oracle) const;

 private:
  struct Output {
    TensorView view;
    Tolerance tolerance;
  };
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    TensorView view;
  };

  std::mt19937 random_;
  std::vector<Block> blocks_;
  std::vector<std::unique_ptr<std::vector<std::int32_t>>> integers_;
  std::vector<Output> outputs_;
};

double element(const ConstTensorView& view, std::int64_t r, std::int64_t c);
void set_element(const TensorView& view, std::int64_t r, std::int64_t c, double value);

}  // namespace meshplan::kernels::testing
