#include "kernels/layer_norm.h"

#include <cmath>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const LayerNormForward& op, Queue&) {
  check_shapes(op);
  const auto cols = static_cast<double>(op.x.cols);
  for (std::int64_t r = 0; r < op.x.rows; ++r) {
    double mean = 0;
    for (std::int64_t c = 0; c < op.x.cols; ++c) mean += at(op.x, r, c) / cols;
    double variance = 0;
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      variance += std::pow(at(op.x, r, c) - mean, 2) / cols;
    const double rstd = 1.0 / std::sqrt(variance + static_cast<double>(op.epsilon));
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.y, r, c, (at(op.x, r, c) - mean) * rstd * at(op.gamma, 0, c) + at(op.beta, 0, c));
    op.mean[static_cast<std::size_t>(r)] = static_cast<float>(mean);
    op.rstd[static_cast<std::size_t>(r)] = static_cast<float>(rstd);
  }
}

void run(const LayerNormBackward& op, Queue&) {
  check_shapes(op);
  const auto cols = static_cast<double>(op.x.cols);
  const auto normalised = [&](std::int64_t r, std::int64_t c) {
    const auto row = static_cast<std::size_t>(r);
    return (at(op.x, r, c) - static_cast<double>(op.mean[row])) * static_cast<double>(op.rstd[row]);
  };
  // Before dx, which may overwrite dy.
  for (std::int64_t c = 0; c < op.x.cols && !op.dgamma.empty(); ++c) {
    double dgamma = 0, dbeta = 0;
    for (std::int64_t r = 0; r < op.x.rows; ++r) {
      dgamma += at(op.dy, r, c) * normalised(r, c);
      dbeta += at(op.dy, r, c);
    }
    add(op.dgamma, 0, c, dgamma);
    add(op.dbeta, 0, c, dbeta);
  }
  for (std::int64_t r = 0; r < op.x.rows; ++r) {
    double mean_g = 0, mean_gh = 0;
    for (std::int64_t c = 0; c < op.x.cols; ++c) {
      const double g = at(op.dy, r, c) * at(op.gamma, 0, c);
      mean_g += g / cols;
      mean_gh += g * normalised(r, c) / cols;
    }
    const auto rstd = static_cast<double>(op.rstd[static_cast<std::size_t>(r)]);
    for (std::int64_t c = 0; c < op.x.cols; ++c) {
      const double g = at(op.dy, r, c) * at(op.gamma, 0, c);
      store(op.dx, r, c, rstd * (g - mean_g - normalised(r, c) * mean_gh));
    }
  }
}

}  // namespace meshplan::kernels::reference
