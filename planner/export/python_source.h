#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "planner/layout/layout.h"

namespace meshplan::planner {

/// A call in Python source, its arguments as written.
struct PythonCall {
  std::vector<std::string> positional;
  std::map<std::string, std::string> named;
};

/// The first call of `function` outside comments; none if there is none.
std::optional<PythonCall> python_call(std::string_view source, std::string_view function);

/// What stands right of "name = " at the start of a line, to the end of the line without comment.
std::optional<std::string> python_value(std::string_view source, std::string_view name);

/// The whole numbers in "(4, 2)" or "[12, 13]", in order.
std::vector<int> python_numbers(std::string_view value);
/// The number of a value that is one. Throws InputError at `where` if it is missing or none.
int python_number(const std::optional<std::string>& value, const std::string& where);

/// "[12, 13, 13, 10]"
std::string python_list(const std::vector<int>& values);
/// "torch.bfloat16"
std::string torch_dtype(std::string_view data_type);

/// Activation checkpointing of decoder layers as a function `recompute(layer)`; "" for none.
std::string python_recompute(Recompute recompute);
/// Which one a source defines.
Recompute recompute_of(std::string_view source);

/// "function.argument" of each named argument in the first calls of `functions`.
std::vector<std::string> python_keys(std::string_view source,
                                     const std::vector<std::string_view>& functions);

}  // namespace meshplan::planner
