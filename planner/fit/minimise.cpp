#include "planner/fit/minimise.h"

#include <algorithm>
#include <cmath>

namespace meshplan::planner {
namespace {

constexpr double kFirstStep = 0.4;  ///< factor e^0.4 at the start of each restart
constexpr double kLastStep = 0.01;  ///< all steps below: the restart is done
constexpr int kMostRestarts = 5;
constexpr double kWorthwhile = 1e-3;  ///< relative gain of a restart that asks for another

double rounded(double value) {
  const double scale = std::pow(10, 3 - std::floor(std::log10(value)));
  return std::round(value * scale) / scale;
}

}  // namespace

double minimise(std::vector<Parameter>& parameters, const std::function<double()>& loss) {
  double best = loss();
  for (int restart = 0; restart < kMostRestarts; ++restart) {
    const double before = best;
    std::vector<double> steps(parameters.size(), kFirstStep);
    while (*std::max_element(steps.begin(), steps.end()) > kLastStep) {
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Parameter& p = parameters[i];
        const double value = p.value();
        bool better = false;
        for (const double step : {steps[i], -steps[i]}) {
          const double tried = std::clamp(value * std::exp(step), p.least, p.most);
          if (tried == value) continue;
          p.assign(tried);
          const double found = loss();
          if (found < best * (1 - 1e-6)) {
            best = found;
            better = true;
            break;
          }
        }
        if (!better) p.assign(value);
        steps[i] = better ? std::min(1.5 * steps[i], 1.0) : 0.5 * steps[i];
      }
    }
    if (best > before * (1 - kWorthwhile)) break;
  }
  for (const Parameter& p : parameters) p.assign(rounded(p.value()));
  return loss();
}

Parameter parameter(double& value, double least, double most) {
  return {[&value] { return value; }, [&value](double v) { value = v; }, least, most};
}

}  // namespace meshplan::planner
