#pragma once
#include <optional>
#include <string_view>

#include "profiles/data_type.h"

namespace meshplan::planner {

enum class Optimizer { Adam, Sgd, Lion };

constexpr std::string_view name(Optimizer optimizer) {
  switch (optimizer) {
    case Optimizer::Adam:
      return "adam";
    case Optimizer::Sgd:
      return "sgd";
    case Optimizer::Lion:
      return "lion";
  }
  return "adam";
}
constexpr std::optional<Optimizer> optimizer_from(std::string_view text) {
  for (const Optimizer known : {Optimizer::Adam, Optimizer::Sgd, Optimizer::Lion}) {
    if (name(known) == text) return known;
  }
  return std::nullopt;
}

/// Training: one step of `global_batch` sequences of `seq_len` tokens.
/// Inference: requests of `prompt` tokens in, `output` tokens out.
struct Workload {
  enum class Kind { Training, Inference };
  Kind kind = Kind::Training;
  profiles::DataType data_type = profiles::DataType::Bf16;

  int seq_len = 0;
  int global_batch = 0;
  Optimizer optimizer = Optimizer::Adam;

  int prompt = 0, output = 0;
  std::optional<int> batch;        ///< static batch
  std::optional<int> concurrency;  ///< requests in flight; none with batch empty: the maximum
};

}  // namespace meshplan::planner
