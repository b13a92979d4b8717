#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "planner/export/condition.h"

namespace meshplan::planner {

/// `text` with every {expression} replaced by its value: the messages of rules.
class Message {
 public:
  Message(std::string_view text, const std::string& where);
  [[nodiscard]] std::string shown(const Situation& situation) const;

 private:
  std::vector<std::string> texts_;  ///< before, between and after the values
  std::vector<Condition> values_;
};

}  // namespace meshplan::planner
