#include "planner/export/message.h"

#include "profiles/input_error.h"

namespace meshplan::planner {

using profiles::InputError;

Message::Message(std::string_view text, const std::string& where) {
  for (;;) {
    const std::size_t open = text.find('{');
    texts_.emplace_back(text.substr(0, open));
    if (open == std::string_view::npos) return;
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) throw InputError(where, "a closing brace", "the end");
    values_.emplace_back(text.substr(open + 1, close - open - 1), where);
    text.remove_prefix(close + 1);
  }
}

std::string Message::shown(const Situation& situation) const {
  std::string out = texts_.front();
  for (std::size_t i = 0; i < values_.size(); ++i) {
    out += values_[i].shown(situation) + texts_[i + 1];
  }
  return out;
}

}  // namespace meshplan::planner
