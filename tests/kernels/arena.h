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

/// How rows follow each other. Padding is checked: a kernel that writes between rows is caught.
enum class RowLayout : std::uint8_t {
  Padded,      ///< by three elements: no row but the first begins at a vector
  Aligned,     ///< padded up to a multiple of eight elements, or by eight
  Contiguous,  ///< not padded
};

/// Memory of one run of an operation. Two arenas of one seed give equal inputs to two back ends.
class Arena {
 public:
  explicit Arena(unsigned seed, RowLayout layout = RowLayout::Padded)
      : random_(seed), layout_(layout) {}

  /// Standard normal elements times `scale`.
  TensorView random(std::int64_t rows, std::int64_t cols, ElementType type = ElementType::F32,
                    double scale = 1.0);
  /// As `random`, compared after the run: an output, or an input that is updated in place.
  TensorView output(std::int64_t rows, std::int64_t cols, ElementType type, Tolerance tolerance);
  /// Compares another tensor too.
  TensorView compared(const TensorView& view, Tolerance tolerance);

  std::span<float> vector(std::int64_t size, double scale = 1.0);
  std::span<float> output_vector(std::int64_t size, Tolerance tolerance);
  /// One double that an operation updates.
  double* output_double(double value, Tolerance tolerance);
  /// Integers in [first, last].
  std::span<const std::int32_t> integers(std::int64_t size, std::int32_t first, std::int32_t last);

  /// The first difference from the oracle beyond the tolerances, or damaged padding; "" if none.
  std::string difference(const Arena& oracle) const;

  /// Every block of memory that operations may point into.
  [[nodiscard]] std::vector<std::span<std::byte>> memory();

 private:
  struct Output {
    TensorView view;
    Tolerance tolerance;
  };
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    TensorView view;
  };
  struct Number {
    std::unique_ptr<double> value;
    Tolerance tolerance;
  };

  std::mt19937 random_;
  RowLayout layout_;
  std::vector<Block> blocks_;
  std::vector<std::unique_ptr<std::vector<std::int32_t>>> integers_;
  std::vector<Output> outputs_;
  std::vector<Number> numbers_;
};

double element(const ConstTensorView& view, std::int64_t r, std::int64_t c);
void set_element(const TensorView& view, std::int64_t r, std::int64_t c, double value);

}  // namespace meshplan::kernels::testing
