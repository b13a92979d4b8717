#pragma once
#include <cstdio>
#include <string>
#include <string_view>

namespace meshplan::cli {

/// Whether `stream` is a terminal that wants colour (NO_COLOR unset or empty, TERM not "dumb").
bool wants_colour(std::FILE* stream);

enum class Style { Plain, Bold, Dim, Green, Yellow, Red };
/// `text` in `style` where standard output wants colour, else as it is.
std::string styled(std::string_view text, Style style);

/// One line on standard error that overwrites itself, when it has changed; nothing where that is no
/// terminal. `clear` it before the answer is printed.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const std::string& line);
  void clear();

 private:
  bool active_;
  std::string shown_;
};

}  // namespace meshplan::cli
