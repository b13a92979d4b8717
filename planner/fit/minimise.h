#pragma once
#include <functional>
#include <vector>

namespace meshplan::planner {

/// A positive constant to be fitted, in place.
struct Parameter {
  std::function<double()> value;
  std::function<void(double)> assign;
  double least, most;
};

/// Lowers `loss` by moving one parameter at a time, up and down by a factor that grows after a
/// success and shrinks after a failure; restarted with large steps until a restart gains nothing.
/// Deterministic. Returns the loss reached; parameters end rounded to four significant digits.
double minimise(std::vector<Parameter>& parameters, const std::function<double()>& loss);

/// Parameter over a plain number.
Parameter parameter(double& value, double least, double most);

}  // namespace meshplan::planner
