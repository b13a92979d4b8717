#include "tests/kernels/arena.h"

#include <algorithm>
#include <cmath>

#include "kernels/bf16.h"

namespace meshplan::kernels::testing {
namespace {

constexpr float kPaddingValue = 12345.0F;

std::int64_t stride(std::int64_t cols, RowLayout layout) {
  switch (layout) {
    case RowLayout::Padded:
      return cols + 3;
    case RowLayout::Aligned:
      return cols / 8 * 8 + 8;
    case RowLayout::Contiguous:
      break;
  }
  return cols;
}

std::int64_t bytes_of(const ConstTensorView& view) {
  return std::max<std::int64_t>(view.rows * view.row_stride, 1) * size_in_bytes(view.type);
}

}  // namespace

double element(const ConstTensorView& view, std::int64_t r, std::int64_t c) {
  const std::int64_t i = r * view.row_stride + c;
  if (view.type == ElementType::Bf16) return to_float(static_cast<const Bf16*>(view.data)[i]);
  return static_cast<const float*>(view.data)[i];
}

void set_element(const TensorView& view, std::int64_t r, std::int64_t c, double value) {
  const std::int64_t i = r * view.row_stride + c;
  if (view.type == ElementType::Bf16)
    static_cast<Bf16*>(view.data)[i] = to_bf16(static_cast<float>(value));
  else
    static_cast<float*>(view.data)[i] = static_cast<float>(value);
}

TensorView Arena::random(std::int64_t rows, std::int64_t cols, ElementType type, double scale) {
  TensorView view{nullptr, rows, cols, stride(cols, layout_), type};
  auto bytes = std::make_unique<std::byte[]>(static_cast<std::size_t>(bytes_of(view)));
  view.data = bytes.get();
  blocks_.push_back({std::move(bytes), view});
  std::normal_distribution<double> normal;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < view.row_stride; ++c)
      set_element(view, r, c, c < cols ? scale * normal(random_) : double{kPaddingValue});
  return view;
}

TensorView Arena::output(std::int64_t rows, std::int64_t cols, ElementType type,
                         Tolerance tolerance) {
  return compared(random(rows, cols, type), tolerance);
}

TensorView Arena::compared(const TensorView& view, Tolerance tolerance) {
  outputs_.push_back({view, tolerance});
  return view;
}

std::span<float> Arena::vector(std::int64_t size, double scale) {
  const TensorView row = random(1, size, ElementType::F32, scale);
  return {static_cast<float*>(row.data), static_cast<std::size_t>(size)};
}

std::span<float> Arena::output_vector(std::int64_t size, Tolerance tolerance) {
  const TensorView row = output(1, size, ElementType::F32, tolerance);
  return {static_cast<float*>(row.data), static_cast<std::size_t>(size)};
}

double* Arena::output_double(double value, Tolerance tolerance) {
  numbers_.push_back({std::make_unique<double>(value), tolerance});
  return numbers_.back().value.get();
}

std::span<const std::int32_t> Arena::integers(std::int64_t size, std::int32_t first,
                                              std::int32_t last) {
  std::uniform_int_distribution<std::int32_t> uniform(first, last);
  auto values = std::make_unique<std::vector<std::int32_t>>();
  for (std::int64_t i = 0; i < size; ++i) values->push_back(uniform(random_));
  integers_.push_back(std::move(values));
  return *integers_.back();
}

std::string Arena::difference(const Arena& oracle) const {
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const auto& [view, tolerance] = outputs_[i];
    const double rounding = view.type == ElementType::Bf16 ? 0x1p-7 : 0.0;
    for (std::int64_t r = 0; r < view.rows; ++r) {
      for (std::int64_t c = 0; c < view.cols; ++c) {
        const double expected = element(oracle.outputs_[i].view, r, c);
        const double found = element(view, r, c);
        const double allowed =
            tolerance.absolute + (tolerance.relative + rounding) * std::abs(expected);
        if (expected == found || std::abs(found - expected) <= allowed) continue;
        return "output " + std::to_string(i) + " [" + std::to_string(r) + ", " + std::to_string(c) +
               "]: expected " + std::to_string(expected) + ", found " + std::to_string(found) +
               ", allowed error " + std::to_string(allowed);
      }
    }
  }
  for (std::size_t i = 0; i < numbers_.size(); ++i) {
    const double expected = *oracle.numbers_[i].value, found = *numbers_[i].value;
    const Tolerance tolerance = numbers_[i].tolerance;
    if (std::abs(found - expected) > tolerance.absolute + tolerance.relative * std::abs(expected))
      return "expected " + std::to_string(expected) + ", found " + std::to_string(found);
  }
  for (const Block& block : blocks_)
    for (std::int64_t r = 0; r < block.view.rows; ++r)
      for (std::int64_t c = block.view.cols; c < block.view.row_stride; ++c)
        if (element(block.view, r, c) != (block.view.type == ElementType::Bf16
                                              ? double{to_float(to_bf16(kPaddingValue))}
                                              : double{kPaddingValue}))
          return "the padding after row " + std::to_string(r) + " was written";
  return "";
}

std::vector<std::span<std::byte>> Arena::memory() {
  std::vector<std::span<std::byte>> all;
  for (const Block& block : blocks_)
    all.emplace_back(block.bytes.get(), static_cast<std::size_t>(bytes_of(block.view)));
  for (const auto& values : integers_) all.push_back(std::as_writable_bytes(std::span(*values)));
  for (const Number& number : numbers_)
    all.push_back(std::as_writable_bytes(std::span(number.value.get(), 1)));
  return all;
}

}  // namespace meshplan::kernels::testing
