#include "planner/export/condition.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::planner {

using profiles::InputError;

/// Recursive descent; each level reads what binds tighter first.
class Condition::Reader {
 public:
  Reader(std::string_view text, std::string where, std::vector<Node>& nodes)
      : text_(text), where_(std::move(where)), nodes_(nodes) {}

  int read() {
    const Part whole = disjunction();
    if (!at_end()) refuse("an operator or the end", found());
    if (whole.word) refuse("a fact", "a lone word");
    return whole.node;
  }

 private:
  /// A node, or a quoted word that waits for the fact it is compared with.
  struct Part {
    int node = -1;
    bool word = false;
    std::string text;
  };

  Part disjunction() {
    Part left = conjunction();
    while (take_word("or")) left = both_flags(Op::Or, left, conjunction());
    return left;
  }

  Part conjunction() {
    Part left = negation();
    while (take_word("and")) left = both_flags(Op::And, left, negation());
    return left;
  }

  Part negation() {
    if (++depth_ > kDeepest) refuse("fewer levels", "an expression too deep");
    Part out;
    if (take_word("not")) {
      const Part inner = negation();
      require(inner, FactType::Flag);
      out = add({Op::Not, FactType::Flag, inner.node});
    } else {
      out = comparison();
    }
    --depth_;
    return out;
  }

  Part comparison() {
    Part left = sum();
    if (take_word("in")) return membership(left);
    struct Comparison {
      std::string_view sign;
      Op op;
      bool swapped;
    };
    static constexpr Comparison kSigns[] = {{"==", Op::Equal, false},  {"!=", Op::Unequal, false},
                                            {"<=", Op::AtMost, false}, {">=", Op::AtMost, true},
                                            {"<", Op::Less, false},    {">", Op::Less, true}};
    for (const Comparison& c : kSigns) {
      if (!take(c.sign)) continue;
      Part right = sum();
      if (c.op == Op::Equal || c.op == Op::Unequal) return equality(c.op, left, right);
      require(left, FactType::Number);
      require(right, FactType::Number);
      if (c.swapped) std::swap(left, right);
      return add({c.op, FactType::Flag, left.node, right.node});
    }
    return left;
  }

  /// x in [a, b] is x == a or x == b.
  Part membership(const Part& left) {
    expect("[");
    Part any = equality(Op::Equal, left, sum());
    while (take(",")) any = both_flags(Op::Or, any, equality(Op::Equal, left, sum()));
    expect("]");
    return any;
  }

  Part equality(Op op, Part left, Part right) {
    if (left.word) std::swap(left, right);
    if (left.word) refuse("a fact on one side", "words on both");
    const Node& fact = node(left);
    if (right.word) {
      if (fact.type != FactType::Word) refuse("a word fact", "'" + right.text + "' and no word");
      right = word_of(*fact.fact, right.text);
    } else if (fact.type != node(right).type || fact.type == FactType::Word) {
      refuse("two numbers, two flags, or a word and its name", "others");
    }
    return add({op, FactType::Flag, left.node, right.node});
  }

  Part word_of(const Fact& fact, const std::string& text) {
    const auto at = std::find(fact.words.begin(), fact.words.end(), text);
    if (at == fact.words.end()) {
      const std::vector<std::string> known(fact.words.begin(), fact.words.end());
      refuse("a word of " + std::string(fact.name),
             "'" + text + "'" + profiles::did_you_mean(text, known));
    }
    Node literal;
    literal.type = FactType::Word;
    literal.number = at - fact.words.begin();
    return add(literal);
  }

  Part sum() {
    Part left = product();
    for (;;) {
      const bool plus = take("+");
      if (!plus && !take("-")) return left;
      left = both_numbers(plus ? Op::Plus : Op::Minus, left, product());
    }
  }

  Part product() {
    Part left = factor();
    for (;;) {
      const bool times = take("*");
      if (!times && !take("%")) return left;
      left = both_numbers(times ? Op::Times : Op::Modulo, left, factor());
    }
  }

  Part factor() {
    skip_space();
    if (take("(")) {
      const Part inner = disjunction();
      expect(")");
      return inner;
    }
    if (take("'")) {
      const std::size_t end = text_.find('\'', at_);
      if (end == std::string_view::npos) refuse("a closing quote", "the end");
      Part out;
      out.word = true;
      out.text = std::string(text_.substr(at_, end - at_));
      at_ = end + 1;
      return out;
    }
    if (!at_end() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) return number();
    return fact();
  }

  Part number() {
    Node literal;
    const char* begin = text_.data() + at_;
    const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), literal.number);
    constexpr std::int64_t kMost = 1'000'000'000;
    if (status != std::errc{} || literal.number > kMost) refuse("a number up to 10^9", found());
    at_ += static_cast<std::size_t>(end - begin);
    return add(literal);
  }

  Part fact() {
    const std::string name = name_here();
    if (name.empty()) refuse("a fact, a number, a word or (", found());
    std::vector<std::string> known;
    for (const Fact& fact : layout_facts()) {
      if (fact.name == name) {
        at_ += name.size();
        return add({Op::Fact, fact.type, -1, -1, 0, &fact});
      }
      known.emplace_back(fact.name);
    }
    refuse("a fact", "'" + name + "'" + profiles::did_you_mean(name, known));
  }

  Part both_flags(Op op, const Part& left, const Part& right) {
    require(left, FactType::Flag);
    require(right, FactType::Flag);
    return add({op, FactType::Flag, left.node, right.node});
  }

  Part both_numbers(Op op, const Part& left, const Part& right) {
    require(left, FactType::Number);
    require(right, FactType::Number);
    return add({op, FactType::Number, left.node, right.node});
  }

  void require(const Part& part, FactType type) {
    if (part.word || node(part).type != type) {
      refuse(type == FactType::Flag ? "a flag or a comparison" : "a number", "another type");
    }
  }

  Part add(const Node& node) {
    nodes_.push_back(node);
    Part out;
    out.node = static_cast<int>(nodes_.size()) - 1;
    return out;
  }
  const Node& node(const Part& part) { return nodes_[static_cast<std::size_t>(part.node)]; }

  void skip_space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }
  bool take(std::string_view sign) {
    skip_space();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  std::string name_here() {
    skip_space();
    std::size_t end = at_;
    while (end < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[end])) != 0 || text_[end] == '_')) {
      ++end;
    }
    return std::string(text_.substr(at_, end - at_));
  }
  bool take_word(std::string_view word) {
    if (name_here() != word) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view sign) {
    if (!take(sign)) refuse("'" + std::string(sign) + "'", found());
  }
  std::string found() {
    return at_end() ? std::string("the end") : "'" + std::string(text_.substr(at_, 20)) + "'";
  }
  [[noreturn]] void refuse(const std::string& expected, const std::string& what) {
    throw InputError(where_ + ", character " + std::to_string(at_ + 1), expected, what);
  }

  static constexpr int kDeepest = 32;
  std::string_view text_;
  std::size_t at_ = 0;
  std::string where_;
  std::vector<Node>& nodes_;
  int depth_ = 0;
};

Condition::Condition(std::string_view text, const std::string& where)
    : root_(Reader(text, where, nodes_).read()) {}

FactType Condition::type() const { return nodes_[static_cast<std::size_t>(root_)].type; }

std::int64_t Condition::value_of(int at, const Situation& s) const {
  const Node& node = nodes_[static_cast<std::size_t>(at)];
  const auto left = [&] { return value_of(node.left, s); };
  const auto right = [&] { return value_of(node.right, s); };
  switch (node.op) {
    case Op::Or:
      return left() != 0 || right() != 0 ? 1 : 0;
    case Op::And:
      return left() != 0 && right() != 0 ? 1 : 0;
    case Op::Not:
      return left() == 0 ? 1 : 0;
    case Op::Equal:
      return left() == right() ? 1 : 0;
    case Op::Unequal:
      return left() != right() ? 1 : 0;
    case Op::Less:
      return left() < right() ? 1 : 0;
    case Op::AtMost:
      return left() <= right() ? 1 : 0;
    case Op::Plus:
      return left() + right();
    case Op::Minus:
      return left() - right();
    case Op::Times:
      return left() * right();
    case Op::Modulo: {
      // Nothing is a multiple of zero but zero.
      const std::int64_t divisor = right();
      return divisor == 0 ? left() : left() % divisor;
    }
    case Op::Fact:
      return node.fact->value(s);
    case Op::Literal:
      return node.number;
  }
  return 0;
}

std::string Condition::shown(const Situation& situation) const {
  const Node& root = nodes_[static_cast<std::size_t>(root_)];
  const std::int64_t result = value(situation);
  if (root.type == FactType::Number) return std::to_string(result);
  if (root.type == FactType::Flag) return result != 0 ? "true" : "false";
  return std::string(root.fact->words[static_cast<std::size_t>(result)]);
}

}  // namespace meshplan::planner
