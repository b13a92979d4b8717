#include "kernels/activation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {
namespace {

/// f(x) and f'(x).
struct ValueAndSlope {
  double value = 0;
  double slope = 0;
};

ValueAndSlope evaluate(Activation kind, double x) {
  using std::numbers::inv_sqrtpi;
  using std::numbers::sqrt2;
  switch (kind) {
    case Activation::Relu:
      return {std::max(x, 0.0), x > 0 ? 1.0 : 0.0};
    case Activation::SquaredRelu:
      return {std::pow(std::max(x, 0.0), 2), 2 * std::max(x, 0.0)};
    case Activation::Gelu: {
      const double probability = 0.5 * std::erfc(-x / sqrt2);
      const double density = inv_sqrtpi / sqrt2 * std::exp(-x * x / 2);
      return {x * probability, probability + x * density};
    }
    case Activation::GeluTanh: {
      const double root = sqrt2 * inv_sqrtpi;  // sqrt(2 / pi)
      const double t = std::tanh(root * (x + 0.044715 * x * x * x));
      const double slope_of_argument = root * (1 + 3 * 0.044715 * x * x);
      return {0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope_of_argument};
    }
    case Activation::Silu: {
      const double sigmoid = 1 / (1 + std::exp(-x));
      return {x * sigmoid, sigmoid * (1 + x * (1 - sigmoid))};
    }
  }
  return {};
}

}  // namespace

void run(const ActivationForward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.x.rows; ++r)
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.y, r, c, evaluate(op.kind, at(op.x, r, c)).value);
}

void run(const ActivationBackward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.x.rows; ++r)
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.dx, r, c, at(op.dy, r, c) * evaluate(op.kind, at(op.x, r, c)).slope);
}

void run(const GatedActivationForward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.y.rows; ++r)
    for (std::int64_t c = 0; c < op.y.cols; ++c)
      store(op.y, r, c, evaluate(op.kind, at(op.gate, r, c)).value * at(op.up, r, c));
}

void run(const GatedActivationBackward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.dy.rows; ++r) {
    for (std::int64_t c = 0; c < op.dy.cols; ++c) {
      const ValueAndSlope f = evaluate(op.kind, at(op.gate, r, c));
      const double up = at(op.up, r, c), dy = at(op.dy, r, c);
      store(op.dgate, r, c, dy * up * f.slope);
      store(op.dup, r, c, dy * f.value);
    }
  }
}

}  // namespace meshplan::kernels::reference
