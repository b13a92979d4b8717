#pragma once
#include <cstddef>
#include <string>

/// Values of flags, which CLI11 hands on as text. Each throws InputError that names the flag.
namespace meshplan::cli {

/// A whole number >= 1.
int count_flag(const std::string& text, const std::string& flag);

/// A finite number > 0.
double positive_flag(const std::string& text, const std::string& flag);

/// A finite number >= 0: "0.1" or "10%".
double fraction_flag(const std::string& text, const std::string& flag);

/// `--plan`: the index of one of `plans` plans of a file.
std::size_t plan_flag(const std::string& text, std::size_t plans);

}  // namespace meshplan::cli
