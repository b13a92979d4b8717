#include "kernels/rms_norm.h"

#include <cmath>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const RmsNormForward& op, Queue&) {
  check_shapes(op);
  const auto cols = static_cast<double>(op.x.cols);
  for (std::int64_t r = 0; r < op.x.rows; ++r) {
    double mean_square = 0;
    for (std::int64_t c = 0; c < op.x.cols; ++c) mean_square += std::pow(at(op.x, r, c), 2) / cols;
    const double rstd = 1.0 / std::sqrt(mean_square + static_cast<double>(op.epsilon));
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.y, r, c, at(op.x, r, c) * rstd * at(op.gamma, 0, c));
    op.rstd[static_cast<std::size_t>(r)] = static_cast<float>(rstd);
  }
}

void run(const RmsNormBackward& op, Queue&) {
  check_shapes(op);
  const auto cols = static_cast<double>(op.x.cols);
  const auto normalised = [&](std::int64_t r, std::int64_t c) {
    return at(op.x, r, c) * static_cast<double>(op.rstd[static_cast<std::size_t>(r)]);
  };
  // Before dx, which may overwrite dy.
  for (std::int64_t c = 0; c < op.x.cols && !op.dgamma.empty(); ++c) {
    double dgamma = 0;
    for (std::int64_t r = 0; r < op.x.rows; ++r) dgamma += at(op.dy, r, c) * normalised(r, c);
    add(op.dgamma, 0, c, dgamma);
  }
  for (std::int64_t r = 0; r < op.x.rows; ++r) {
    double mean_gh = 0;
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      mean_gh += at(op.dy, r, c) * at(op.gamma, 0, c) * normalised(r, c) / cols;
    const auto rstd = static_cast<double>(op.rstd[static_cast<std::size_t>(r)]);
    for (std::int64_t c = 0; c < op.x.cols; ++c) {
      const double g = at(op.dy, r, c) * at(op.gamma, 0, c);
      store(op.dx, r, c, rstd * (g - normalised(r, c) * mean_gh));
    }
  }
}

}  // namespace meshplan::kernels::reference
