#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "planner/export/layout_facts.h"

namespace meshplan::planner {

/// An expression over the facts of a layout, as the table of framework rules writes them:
///
///   cp == 1 or seq_len % (2 * cp) == 0
///   schedule in ['1f1b', 'interleaved'] and not (vpp > 1 and pp == 1)
///
/// Loosest first: or, and, not, one of == != < <= > >= in, + -, * %, parentheses. Typed: numbers
/// are whole, flags stand alone, words are compared with quoted words of their own fact. A name, a
/// word or a type that does not fit is refused when the expression is read, never when it is used.
class Condition {
 public:
  /// Throws InputError at `where`.
  Condition(std::string_view text, const std::string& where);

  [[nodiscard]] FactType type() const;
  /// Flags: 0 or 1. `and` and `or` stop as soon as they know.
  [[nodiscard]] std::int64_t value(const Situation& situation) const {
    return value_of(root_, situation);
  }
  [[nodiscard]] bool holds(const Situation& situation) const { return value(situation) != 0; }
  /// The value as a person reads it: a number, a word, "true" or "false".
  [[nodiscard]] std::string shown(const Situation& situation) const;

 private:
  enum class Op {
    Or,
    And,
    Not,
    Equal,
    Unequal,
    Less,
    AtMost,
    Plus,
    Minus,
    Times,
    Modulo,
    Fact,
    Literal
  };
  struct Node {
    Op op = Op::Literal;
    FactType type = FactType::Number;
    int left = -1, right = -1;
    std::int64_t number = 0;
    const Fact* fact = nullptr;
  };
  class Reader;

  [[nodiscard]] std::int64_t value_of(int node, const Situation& situation) const;

  std::vector<Node> nodes_;
  int root_ = -1;
};

}  // namespace meshplan::planner
